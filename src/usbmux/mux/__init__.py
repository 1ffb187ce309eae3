"""Protocol 1: host to device over one pair of bulk endpoints. Sans-IO: bytes and `now` in, events and bytes out."""
