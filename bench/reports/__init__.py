"""What a run says: tables, pictures, report.md."""
