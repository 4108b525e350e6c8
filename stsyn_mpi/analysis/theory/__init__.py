"""What rounds are expected to take and to yield, computed rather than measured."""
