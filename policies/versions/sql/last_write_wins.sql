-- An example: the last write wins in one table. It needs versions.sql.

-- What is deleted keeps its row and its version, or an older write that comes late would bring it
-- back. Delete such rows for good once nothing older can be under way: after a day, not a minute.
CREATE TABLE profiles (
    id      text PRIMARY KEY,
    body    jsonb,  -- NULL: deleted
    version meshfence_version NOT NULL
);

-- One statement for a write that a user makes and for one that another region replicates. The
-- parameters are the id, the body and the value of x-meshfence-version. It says one row if the
-- write is the last one now, and none if there is a later one already, or this one: whoever asks
-- has been answered well in both cases.
PREPARE put_profile (text, jsonb, meshfence_version) AS
INSERT INTO profiles AS t (id, body, version) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET body = excluded.body, version = excluded.version
WHERE excluded.version > t.version;
