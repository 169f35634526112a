-- The same graph in PostgreSQL, as efficient as we can make it: users by number, friendships in both directions in the
-- order of their primary key, so that a user's friends are adjacent and a page is one range of one index.
CREATE TABLE people (
  n integer PRIMARY KEY, id text NOT NULL UNIQUE, name text NOT NULL,
  online boolean NOT NULL DEFAULT false, invisible boolean NOT NULL DEFAULT false,
  last_seen bigint NOT NULL DEFAULT 0, presence_at bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE TABLE friends (a integer NOT NULL, b integer NOT NULL, since integer NOT NULL);
CREATE TABLE requests (a integer, b integer, at bigint NOT NULL, PRIMARY KEY (a, b));
CREATE TABLE blocks (a integer, b integer, PRIMARY KEY (a, b));
CREATE TABLE outbox (a integer, b integer);
-- after the load
ALTER TABLE friends ADD PRIMARY KEY (a, b) INCLUDE (since);
-- ask: the rules of cypher/friends/request_or_accept.cypher in one round trip
CREATE FUNCTION ask(me_id text, other_id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE me integer; other integer;
BEGIN
  PERFORM 1 FROM people WHERE id IN (me_id, other_id) ORDER BY n FOR NO KEY UPDATE;
  SELECT n INTO me FROM people WHERE id = me_id;
  SELECT n INTO other FROM people WHERE id = other_id;
  IF EXISTS (SELECT 1 FROM friends WHERE a = me AND b = other) THEN RETURN 'friends'; END IF;
  IF EXISTS (SELECT 1 FROM blocks WHERE a = me AND b = other) THEN RETURN 'blocking'; END IF;
  IF EXISTS (SELECT 1 FROM requests WHERE a = me AND b = other) THEN RETURN 'requested'; END IF;
  IF (SELECT count(*) FROM friends WHERE a = me) >= 10000 THEN RETURN 'me_full'; END IF;
  IF NOT EXISTS (SELECT 1 FROM requests WHERE a = other AND b = me) THEN
    IF (SELECT count(*) FROM requests WHERE a = me) >= 1000 THEN RETURN 'pending_full'; END IF;
    INSERT INTO requests VALUES (me, other, extract(epoch FROM now()) * 1000);
    INSERT INTO outbox VALUES (least(me, other), greatest(me, other));
    RETURN 'asked';
  END IF;
  IF (SELECT count(*) FROM friends WHERE a = other) >= 10000 THEN RETURN 'other_full'; END IF;
  DELETE FROM requests WHERE a = other AND b = me;
  INSERT INTO friends VALUES (me, other, extract(epoch FROM now())), (other, me, extract(epoch FROM now()));
  INSERT INTO outbox VALUES (least(me, other), greatest(me, other));
  RETURN 'accepted';
END $$;
