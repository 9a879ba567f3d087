-- A history as schema version 1 leaves it: one answer that is whole, and one whose program was killed. Never to be edited:
-- what is in such a file has to be read by every later version.
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE conversations (
    key      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    title    TEXT    NOT NULL,
    endpoint TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    updated  INTEGER NOT NULL
) STRICT;
CREATE INDEX conversations_by_update ON conversations (updated);
CREATE TABLE messages (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation  INTEGER NOT NULL REFERENCES conversations ON DELETE CASCADE,
    seq           INTEGER NOT NULL,
    role          TEXT    NOT NULL,
    content       TEXT    NOT NULL,
    parts         TEXT,
    reasoning     TEXT    NOT NULL DEFAULT '',
    created       INTEGER NOT NULL,
    endpoint      TEXT,
    model         TEXT,
    verdict       TEXT,
    finish_reason TEXT,
    error         TEXT,
    input_tokens  INTEGER,
    output_tokens INTEGER,
    first_ms      INTEGER,
    elapsed_ms    INTEGER,
    seams         TEXT,
    UNIQUE (conversation, seq)
) STRICT;
CREATE INDEX messages_unfinished ON messages (key) WHERE role = 'assistant' AND verdict IS NULL;
CREATE TABLE pieces (
    key     INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
    kind    TEXT    NOT NULL CHECK (kind IN ('text', 'reasoning')),
    text    TEXT    NOT NULL
) STRICT;
CREATE INDEX pieces_by_message ON pieces (message);
CREATE VIRTUAL TABLE words USING fts5 (
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_deleted AFTER DELETE ON messages BEGIN
    DELETE FROM words WHERE rowid = old.key;
END;
INSERT INTO conversations VALUES
    (1, 'k3f9ab', 'why is the sky blue', 'openai', 'gpt-5', 1700000000000, 1700000001000),
    (2, 'x7q2mm', '什么是数据库', 'local', 'smollm2', 1700000100000, 1700000101000);
INSERT INTO messages (key, conversation, seq, role, content, parts, reasoning, created, endpoint, model, verdict,
    finish_reason, error, input_tokens, output_tokens, first_ms, elapsed_ms, seams) VALUES
    (1, 1, 0, 'system', 'Be brief.', NULL, '', 1700000000000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (2, 1, 1, 'user', 'why is the sky blue', NULL, '', 1700000000000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, 1, 2, 'assistant', 'Rayleigh scattering.', NULL, 'Physics.', 1700000000500, 'openai', 'gpt-5', 'complete',
        'stop', NULL, 12, 4, 300, 900, '[{"at":8,"how":"prefix"}]'),
    (4, 2, 0, 'user', '什么是数据库', '[{"type":"text","text":"什么是数据库"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]',
        '', 1700000100000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, 2, 1, 'assistant', '', NULL, '', 1700000100500, 'local', 'smollm2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO pieces (message, kind, text) VALUES (5, 'text', '数据库是'), (5, 'reasoning', '想'), (5, 'text', '存储');
INSERT INTO words (rowid, text) VALUES (1, 'Be brief.'), (2, 'why is the sky blue'), (3, 'Rayleigh scattering.'),
    (4, char(20160, 8203, 20040, 8203, 26159, 8203, 25968, 8203, 25454, 8203, 24211));
PRAGMA user_version = 1;
COMMIT;
