"""What a settle costs: cited constants, models that turn a ledger into joules and seconds."""
