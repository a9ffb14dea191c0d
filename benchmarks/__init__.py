"""What Flask-WePay costs, measured: ``python -m benchmarks --help``."""
