"""``usbmux top``: phones and who uses them, live. Only `screen`, `dialogs` and `live_table` know Textual."""
