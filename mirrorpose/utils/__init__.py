"""What every room may use and nothing here depends on."""
