"""From measurements to a device: `python -m hw.crossbar.devices.fit curves.csv --output mine.toml --picture card.png`.

`measurements` reads the table, `laws` fits it, `to_toml` writes the device file, `card` draws any device.
"""
