"""What people use: API, pages, command line, store, ledger, scoring."""
