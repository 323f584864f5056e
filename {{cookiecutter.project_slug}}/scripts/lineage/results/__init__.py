"""Read runs back, best first; the small files that DVC shows."""
