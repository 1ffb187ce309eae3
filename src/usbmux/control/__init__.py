"""The protocol between clients and the daemon, sans-IO, both roles."""
