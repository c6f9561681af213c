"""Controls: networks to compare those of the zoo with."""
