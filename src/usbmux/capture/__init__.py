"""What crosses between the host and phones, written down: lines, pcapng, recordings. Nothing else knows of it."""
