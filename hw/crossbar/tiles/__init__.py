"""What reads them: encodings, converters, wires, and tiles that multiply up and down."""
