"""What every job over shards shares: open or refuse a run, claim shards, drive a stage over them, stop, count."""
