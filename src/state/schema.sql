-- What homing remembers of one pair of stores. Version 1; see upgrade.rs.
-- Sides: 0 left, 1 right. Times: seconds since 1970. Flags: model::System bits; keywords: a row of keyword_set, 0 for none.

-- Which stores this is the state of, the last run and the one begun.
CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE run (
  id INTEGER PRIMARY KEY, command TEXT NOT NULL, begun INTEGER NOT NULL,
  ended INTEGER, exit INTEGER, report TEXT);

-- What runs did, and to which messages: the history that `log` shows. Names are kept as they were; see deeds.rs.
CREATE TABLE deed (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, action TEXT NOT NULL, side INTEGER,
  mailbox TEXT NOT NULL, target TEXT, why TEXT NOT NULL, count INTEGER NOT NULL);
CREATE INDEX deed_run ON deed (run);
CREATE TABLE deed_message (
  id INTEGER PRIMARY KEY, deed INTEGER NOT NULL, uid INTEGER, file INTEGER, name TEXT, size INTEGER, date INTEGER);
CREATE INDEX deed_message_deed ON deed_message (deed);

-- A mailbox, by the name that both sides agreed on, as the left spells it. Rows are never reused: other tables and the
-- stores refer to them. Two can have one name for a while: one is being renamed, the other was made in its place.
CREATE TABLE mailbox (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL);
CREATE INDEX mailbox_path ON mailbox (path);

-- A mailbox as one side last had it: base of creations and deletions, and the checkpoint of its messages.
CREATE TABLE place (
  mailbox INTEGER NOT NULL, side INTEGER NOT NULL,
  raw BLOB NOT NULL,
  identity TEXT, confirmed TEXT,                 -- what survives a rename: as listed, and as opening the mailbox told
  validity INTEGER, next_id INTEGER, token TEXT, -- the checkpoint; NULL: never seen in full
  listed INTEGER,                                -- when it was last listed in full
  permanent TEXT,                                -- what it let be set when it was last asked; NULL: nothing was dropped there
  PRIMARY KEY (mailbox, side)) WITHOUT ROWID;

CREATE TABLE keyword_set (id INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE);

-- The base: what both sides agreed on, nothing else. A million rows take about 250 MB with the indexes.
CREATE TABLE pair (
  id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL,
  l_id INTEGER, l_flags INTEGER NOT NULL, l_keywords INTEGER NOT NULL, l_unseen INTEGER NOT NULL,
  l_gone INTEGER NOT NULL, l_size INTEGER, l_date INTEGER, l_object TEXT,
  r_id INTEGER, r_flags INTEGER NOT NULL, r_keywords INTEGER NOT NULL, r_unseen INTEGER NOT NULL,
  r_gone INTEGER NOT NULL, r_size INTEGER, r_date INTEGER, r_object TEXT,
  size INTEGER NOT NULL, content BLOB NOT NULL, header BLOB NOT NULL, envelope BLOB);
CREATE UNIQUE INDEX pair_left ON pair (mailbox, l_id);
CREATE UNIQUE INDEX pair_right ON pair (mailbox, r_id);
CREATE INDEX pair_content ON pair (content);
CREATE INDEX pair_left_object ON pair (l_object) WHERE l_object IS NOT NULL;
CREATE INDEX pair_right_object ON pair (r_object) WHERE r_object IS NOT NULL;
CREATE INDEX pair_gone ON pair (mailbox) WHERE l_gone <> 0 OR r_gone <> 0;
CREATE INDEX pair_marked ON pair (mailbox) WHERE (l_flags & r_flags & 8) <> 0 AND l_gone=0 AND r_gone=0;
CREATE INDEX pair_void ON pair (mailbox) WHERE l_id IS NULL OR r_id IS NULL;

-- Seen, recorded, not carried over: by policy, or because it failed. kind 0: the message is new; 1: its flags changed;
-- 2 and 3: it is new and left out, being too large or too old.
CREATE TABLE pending (
  mailbox INTEGER NOT NULL, side INTEGER NOT NULL, id INTEGER NOT NULL, kind INTEGER NOT NULL,
  flags INTEGER NOT NULL DEFAULT 0, keywords INTEGER NOT NULL DEFAULT 0,
  size INTEGER, -- of what is left out: a message that is gone elsewhere is looked for among these
  PRIMARY KEY (mailbox, side, id, kind)) WITHOUT ROWID;
CREATE INDEX pending_waiting ON pending (mailbox) WHERE kind < 2;

-- What could not be done, when it is tried next. id NULL: the whole mailbox; mailbox NULL: the whole account.
CREATE TABLE problem (
  key TEXT PRIMARY KEY, mailbox INTEGER, side INTEGER, id INTEGER,
  what TEXT NOT NULL, hint TEXT, retry TEXT NOT NULL,
  tries INTEGER NOT NULL, first INTEGER NOT NULL, next INTEGER) WITHOUT ROWID;
CREATE INDEX problem_message ON problem (mailbox, side, id);

-- The journal: committed before an effect, closed with its outcome.
CREATE TABLE intent (
  id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, kind TEXT NOT NULL,
  mailbox INTEGER NOT NULL, side INTEGER NOT NULL, -- where the effect is
  source INTEGER, -- the mailbox of the same side that the messages come from; NULL: they come from the other side
  ids TEXT NOT NULL,
  next_id INTEGER, begun INTEGER NOT NULL);
-- The messages of an intent, by which a copy that arrived is known again.
CREATE TABLE intent_message (
  intent INTEGER NOT NULL, id INTEGER NOT NULL, content BLOB, envelope BLOB, header BLOB,
  PRIMARY KEY (intent, id)) WITHOUT ROWID;

-- Renames under way, in the names of the side: committed before, closed with the outcome.
CREATE TABLE renaming (
  mailbox INTEGER NOT NULL, side INTEGER NOT NULL, was TEXT NOT NULL, becomes TEXT NOT NULL,
  run INTEGER NOT NULL,
  PRIMARY KEY (mailbox, side)) WITHOUT ROWID;

-- The files of a Maildir.
CREATE TABLE file (
  id INTEGER PRIMARY KEY, mailbox INTEGER NOT NULL, uniq BLOB NOT NULL,
  size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL, verbatim INTEGER NOT NULL, content BLOB);
CREATE INDEX file_name ON file (mailbox, uniq);
