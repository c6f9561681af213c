"""What machines count while they work, one kind of event in each file; a ledger holds the kinds its machine has."""
