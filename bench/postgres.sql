-- The same job in PostgreSQL with pgcrypto: see bench/postgres.sh.
CREATE EXTENSION pgcrypto;

-- Software keys, in the clear: this is what the comparison does without.
CREATE TABLE secret_key (linkage bytea NOT NULL, agency bytea NOT NULL);
INSERT INTO secret_key VALUES (gen_random_bytes(32), gen_random_bytes(32));

CREATE TABLE agency (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  code text NOT NULL UNIQUE,
  parameter bytea NOT NULL DEFAULT gen_random_bytes(16));

-- One row a person; the only index is the one that makes the linkage symbol unique.
CREATE TABLE person (id bigint NOT NULL, linkage bytea NOT NULL UNIQUE, batch int NOT NULL);
ALTER TABLE person ALTER linkage SET STORAGE PLAIN;
-- Each batch takes a block of numbers, so that nobody waits for a sequence.
CREATE SEQUENCE person_block;

CREATE TABLE issuance (
  agency int NOT NULL, person bigint NOT NULL, batch int NOT NULL, PRIMARY KEY (agency, person));

-- Answers and rejects can be made again from request and ledger, so they need no write-ahead log.
CREATE UNLOGGED TABLE answer (agency int, number text COLLATE "C", symbol text, status text);
CREATE UNLOGGED TABLE reject (batch int, number text, reason text);

-- valid_code: `c` is eleven ASCII digits. Weights 5 4 3 2 7 6 5 4 3 2 over ten of them from the
-- left (41 in all); (11 - r) % 11 % 10 is 0 for r <= 1, else 11 - r. One expression: it is inlined.
CREATE FUNCTION valid_code(c bytea) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (11 - (get_byte(c, 0) * 5 + get_byte(c, 1) * 4 + get_byte(c, 2) * 3 + get_byte(c, 3) * 2 +
                get_byte(c, 4) * 7 + get_byte(c, 5) * 6 + get_byte(c, 6) * 5 + get_byte(c, 7) * 4 +
                get_byte(c, 8) * 3 + get_byte(c, 9) * 2 - 41 * 48) % 11) % 11 % 10
         = get_byte(c, 10) - 48
$$;

-- issue_batch takes the session's temporary table raw(number, agency, code) as one transaction.
CREATE PROCEDURE issue_batch(this_batch int) LANGUAGE plpgsql AS $$
DECLARE
  linkage_key bytea; agency_key bytea; people bigint; made bigint; valid bigint; issued bigint;
  block bigint := nextval('person_block') * 100000000;
BEGIN
  SELECT linkage, secret_key.agency INTO linkage_key, agency_key FROM secret_key;

  -- Check and derive, in the order of the unique index.
  CREATE TEMP TABLE derived AS
    SELECT number, a.id AS agency, linkage, a.parameter,
           block + dense_rank() OVER by_linkage AS person,
           row_number() OVER by_linkage - rank() OVER by_linkage = 0 AS is_first
    FROM (SELECT number, agency, substr(hmac(code, linkage_key, 'sha256'), 1, 16) AS linkage
          FROM (SELECT number, agency, code::bytea AS code FROM raw
                WHERE code ~ '^[0-9]{11}$' AND length(number) <= 32 AND number ~ '^[0-9A-Z]+$'
                OFFSET 0) AS well_formed  -- OFFSET 0: the check digit is for these only
          WHERE valid_code(code)) AS r
    JOIN agency a ON a.code = r.agency
    WINDOW by_linkage AS (ORDER BY linkage);
  GET DIAGNOSTICS valid = ROW_COUNT;
  IF valid < (SELECT count(*) FROM raw) THEN
    INSERT INTO reject SELECT this_batch, number, 'invalid' FROM raw r
      WHERE NOT EXISTS (SELECT FROM derived d WHERE d.number = r.number);
  END IF;

  SELECT count(*) FILTER (WHERE is_first) INTO people FROM derived;
  -- A third faster than ON CONFLICT DO NOTHING alone, which remains for what the other session
  -- makes at the same time. Look-ups go through the index, whatever the planner makes of tables
  -- that grow faster than their statistics.
  PERFORM set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
  BEGIN
    INSERT INTO person SELECT person, linkage, this_batch FROM derived d
      WHERE is_first AND NOT EXISTS (SELECT FROM person p WHERE p.linkage = d.linkage);
    GET DIAGNOSTICS made = ROW_COUNT;
  EXCEPTION WHEN unique_violation THEN
    INSERT INTO person SELECT person, linkage, this_batch FROM derived WHERE is_first
      ON CONFLICT (linkage) DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
  END;
  IF made < people THEN  -- somebody was known: take the number that the ledger has
    ANALYZE derived;
    UPDATE derived d SET person = p.id FROM person p
      WHERE p.linkage = d.linkage AND p.id <> d.person;
  END IF;

  BEGIN
    INSERT INTO issuance SELECT agency, person, this_batch FROM derived ORDER BY agency, person;
    GET DIAGNOSTICS issued = ROW_COUNT;
  EXCEPTION WHEN unique_violation THEN
    INSERT INTO issuance SELECT agency, person, this_batch FROM derived ORDER BY agency, person
      ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS issued = ROW_COUNT;
  END;
  IF issued = valid THEN
    INSERT INTO answer
      SELECT agency, number, encode(substr(hmac(parameter || linkage, agency_key, 'sha256'), 1, 16),
                                    'hex'), 'new' FROM derived;
  ELSE
    INSERT INTO answer
      SELECT d.agency, number, encode(substr(hmac(parameter || linkage, agency_key, 'sha256'), 1,
                                             16), 'hex'),
             CASE WHEN i.batch = this_batch AND row_number() OVER
                    (PARTITION BY d.agency, d.person ORDER BY number) = 1
                  THEN 'new' ELSE 'existing' END
      FROM derived d JOIN issuance i ON i.agency = d.agency AND i.person = d.person;
  END IF;
  DROP TABLE derived;
END $$;
