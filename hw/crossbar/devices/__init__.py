"""What sits at the crossings: devices as data, their laws and presets, and the dies they are programmed into."""
