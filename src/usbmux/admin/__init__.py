"""The protocol between a running daemon and those who look inside it; rules in docs/admin.md. Sans-IO."""
