"""The daemon: sockets, phones and the bytes between them, on asyncio. No protocol rule is decided here."""
