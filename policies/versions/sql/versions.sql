-- Versions in PostgreSQL; it was tried on 15 and 18. Run it once in each database; it creates one
-- domain and two functions, and no table.

-- A version. Its bytes sort as versions do, and only bytes: COLLATE "C" compares these, while the
-- collation of a database may be that of a language. In Danish "aa" comes after "z", so that a
-- version with these digits would win over later ones for as long as they stay; a collation that
-- two databases know in two editions would let two regions disagree. Whatever has this domain as
-- its type compares as it should: columns, indexes, max(), ORDER BY. A parameter on the other side
-- of a comparison takes the collation of the column; two parameters need a cast to the domain.
CREATE DOMAIN meshfence_version AS text COLLATE "C"
    CHECK (VALUE ~ '^[0-9a-f]{16}-[a-z]{3}-[0-9a-f]{8}$');

-- A version vector as the header has it, `taiwan=<version>,tokyo=<version>`, as
-- {"taiwan": "<version>", "tokyo": "<version>"}. What is no version is an error; that each region is
-- there once and with its own code has been seen to by whoever read the header.
CREATE FUNCTION meshfence_vector(header text) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT jsonb_object_agg(split_part(entry, '=', 1),
                            substr(entry, strpos(entry, '=') + 1)::meshfence_version)
    FROM regexp_split_to_table(header, ', ?') AS entry
$$;

-- What the one vector has seen of the other: `equal`, `before` (the right one has seen all of the
-- left one, and more), `after` or `concurrent`.
CREATE FUNCTION meshfence_causality(l jsonb, r jsonb) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN ahead AND behind THEN 'concurrent'
                WHEN ahead THEN 'after'
                WHEN behind THEN 'before'
                ELSE 'equal' END
    FROM (
        -- The empty text is smaller than every version: that of a region that was not seen.
        SELECT coalesce(bool_or(coalesce(ours, '') > coalesce(theirs, '') COLLATE "C"), false),
               coalesce(bool_or(coalesce(ours, '') < coalesce(theirs, '') COLLATE "C"), false)
        FROM jsonb_each_text(l) AS a (region, ours)
        FULL JOIN jsonb_each_text(r) AS b (region, theirs) USING (region)
    ) AS seen (ahead, behind)
$$;
