"""What the benchmarks of KeypointGAN share: runs and scores."""
