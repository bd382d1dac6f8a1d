"""What the benchmarks of completers share: runs, clips, rows and scores."""
