"""The retrieval table of metric pose: data, rows, scores and pages."""
