// A bridge that takes over a partition loads its online users by shard.
CREATE INDEX online_shard IF NOT EXISTS FOR (o:Online) ON (o.shard);
