"""The trainings and tables of benchmarks/label_efficiency.py."""
