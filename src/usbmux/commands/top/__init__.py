"""``usbmux top``: a live table of phones and of who uses them. Only `screen` and `dialogs` know Textual."""
