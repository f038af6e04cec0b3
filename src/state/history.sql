-- What an archive remembers besides the base: which message was where, with which flags, from which run to which.
-- A row counts for a run R where from_run <= R < to_run; to_run of what is still so is the largest number there is.

-- A message that the archive holds. Its file lies in mail/ as long as it has a base row, then in gone/.
CREATE TABLE IF NOT EXISTS archived (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  pair INTEGER UNIQUE,                -- its base row; NULL: it left the server
  mailbox INTEGER NOT NULL,           -- where it was last
  path TEXT,                          -- the name of that mailbox when it left the server
  uniq BLOB NOT NULL, verbatim INTEGER NOT NULL,
  size INTEGER NOT NULL, date INTEGER,
  content BLOB NOT NULL, header BLOB NOT NULL, envelope BLOB,
  pruned INTEGER);                    -- when its file was deleted for good
CREATE INDEX IF NOT EXISTS archived_content ON archived (content);
CREATE INDEX IF NOT EXISTS archived_gone ON archived (id) WHERE pair IS NULL AND pruned IS NULL;

-- Where a message was.
CREATE TABLE IF NOT EXISTS stay (
  message INTEGER NOT NULL, from_run INTEGER NOT NULL, to_run INTEGER NOT NULL,
  mailbox INTEGER NOT NULL, flags INTEGER NOT NULL, keywords INTEGER NOT NULL,
  PRIMARY KEY (message, to_run)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS stay_mailbox ON stay (mailbox, to_run, from_run);

-- What a mailbox was called and was for (its SPECIAL-USE attribute), and whether mail programs showed it.
CREATE TABLE IF NOT EXISTS mailbox_stay (
  mailbox INTEGER NOT NULL, from_run INTEGER NOT NULL, to_run INTEGER NOT NULL, path TEXT NOT NULL,
  role TEXT, subscribed INTEGER NOT NULL,
  PRIMARY KEY (mailbox, to_run)) WITHOUT ROWID;

-- What the server last told of a mailbox besides its name.
CREATE TABLE IF NOT EXISTS told (mailbox INTEGER PRIMARY KEY, role TEXT, subscribed INTEGER NOT NULL DEFAULT 0);

-- What the next noting has to look at, so that its cost follows the changes.
CREATE TABLE IF NOT EXISTS changed (pair INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS departed (message INTEGER PRIMARY KEY);
CREATE TRIGGER IF NOT EXISTS pair_added AFTER INSERT ON pair BEGIN
  INSERT OR IGNORE INTO changed VALUES (new.id);
END;
CREATE TRIGGER IF NOT EXISTS pair_changed AFTER UPDATE OF mailbox, l_id, r_id, r_flags, r_keywords, r_gone ON pair BEGIN
  INSERT OR IGNORE INTO changed VALUES (new.id);
END;
-- The numbers of base rows are given again.
CREATE TRIGGER IF NOT EXISTS pair_dropped AFTER DELETE ON pair BEGIN
  INSERT OR IGNORE INTO departed SELECT id FROM archived WHERE pair=old.id;
  UPDATE archived SET pair=NULL WHERE pair=old.id;
  DELETE FROM changed WHERE pair=old.id;
END;
