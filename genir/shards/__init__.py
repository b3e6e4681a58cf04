"""One stage of one shard: a tar of the kept samples, a table with a row for every task, a marker written last."""
