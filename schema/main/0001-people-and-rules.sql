-- People, their addresses, and the rules: everything that an administrator would not want to type again.
--
-- For both databases. Ids are UUIDv7 in 16 bytes; times are microseconds since 1970, UTC (_us); yes/no is 0/1.
-- Words (kind, state, role) are text, so that a dump reads by itself; the CHECKs list them all.
-- Names of domains are A-labels in lower case; local parts are normalised as lib/mail/address.h says.

-- Several operators could share one installation one day; until then there is the one that 0002 puts in.
CREATE TABLE tenant (
    id          BYTEA PRIMARY KEY,
    name        TEXT NOT NULL,
    created_us  BIGINT NOT NULL
);

-- How we look and what we call ourselves, for the hosts and domains that have it.
CREATE TABLE brand (
    id          BYTEA PRIMARY KEY,
    tenant_id   BYTEA NOT NULL REFERENCES tenant (id),
    name        TEXT NOT NULL,
    prefix      TEXT NOT NULL DEFAULT 'POSTERN',    -- of symbols and headers
    sender      TEXT NOT NULL DEFAULT '',           -- From of mail that we send; '': [smtp] from
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL
);
CREATE INDEX brand_tenant ON brand (tenant_id);

CREATE TABLE brand_host (
    host        TEXT PRIMARY KEY,                   -- the portal's host name that shows this brand
    brand_id    BYTEA NOT NULL REFERENCES brand (id) ON DELETE CASCADE
);
CREATE INDEX brand_host_brand ON brand_host (brand_id);

-- Who writes: one row a machine. Its audit chain ends in audit_hash; the row's lock serialises that chain.
CREATE TABLE node (
    id          BYTEA PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,               -- the host's name
    created_us  BIGINT NOT NULL,
    audit_seq   BIGINT NOT NULL DEFAULT 0,
    audit_hash  BYTEA                               -- NULL: nothing written yet
);

CREATE TABLE domain (
    id           BYTEA PRIMARY KEY,
    tenant_id    BYTEA NOT NULL REFERENCES tenant (id),
    name         TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL CHECK (kind IN ('local', 'relay', 'sdr')),       -- sdr: split, part of it elsewhere
    state        TEXT NOT NULL CHECK (state IN ('pending', 'active', 'disabled')),
    verify_token TEXT,                              -- what the owner has to publish while pending
    verified_us  BIGINT,
    brand_id     BYTEA REFERENCES brand (id) ON DELETE SET NULL,
    route        TEXT NOT NULL DEFAULT '',          -- where released mail is sent; '': [delivery] url
    delimiter    TEXT NOT NULL DEFAULT '+',         -- between mailbox and tag; '': no tags
    created_us   BIGINT NOT NULL,
    updated_us   BIGINT NOT NULL
);
CREATE INDEX domain_tenant ON domain (tenant_id);
CREATE INDEX domain_brand ON domain (brand_id);

-- Another name of a whole domain. That no name is in both tables is lib/store's to see to.
CREATE TABLE domain_alias (
    name        TEXT PRIMARY KEY,
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    created_us  BIGINT NOT NULL
);
CREATE INDEX domain_alias_domain ON domain_alias (domain_id);

-- A person who signs in. Roles on domains are rows of domain_role; without any the person is a user.
CREATE TABLE account (
    id          BYTEA PRIMARY KEY,
    tenant_id   BYTEA NOT NULL REFERENCES tenant (id),
    login       TEXT NOT NULL UNIQUE,               -- an address
    name        TEXT NOT NULL DEFAULT '',
    is_admin    SMALLINT NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1)),
    state       TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'disabled')),
    language    TEXT NOT NULL DEFAULT '',           -- BCP 47
    zone        TEXT NOT NULL DEFAULT '',           -- IANA time zone
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL
);
CREATE INDEX account_tenant ON account (tenant_id);

CREATE TABLE domain_role (
    account_id  BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    role        TEXT NOT NULL CHECK (role IN ('clerk', 'owner')),
    created_us  BIGINT NOT NULL,
    PRIMARY KEY (account_id, domain_id)
);
CREATE INDEX domain_role_domain ON domain_role (domain_id);

-- What proves who one is: the hash of a password, a sealed TOTP secret, a public key.
CREATE TABLE credential (
    id           BYTEA PRIMARY KEY,
    account_id   BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL CHECK (kind IN ('password', 'totp', 'passkey', 'device', 'oidc')),
    key_id       TEXT,                              -- the key that sealed data; NULL: data is a hash or public
    data         BYTEA NOT NULL,
    name         TEXT NOT NULL DEFAULT '',          -- as the person calls it
    created_us   BIGINT NOT NULL,
    last_used_us BIGINT
);
CREATE INDEX credential_account ON credential (account_id, kind);
CREATE UNIQUE INDEX credential_password ON credential (account_id) WHERE kind = 'password';

CREATE TABLE session (
    id                BYTEA PRIMARY KEY,
    token_sha256      BYTEA NOT NULL UNIQUE,
    account_id        BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    methods           TEXT NOT NULL,                -- how it was proven: 'link', 'password totp', 'sso'
    elevated_until_us BIGINT NOT NULL DEFAULT 0,    -- until when it may do what asks for a fresh proof
    acting_for        TEXT,                         -- staff hand-off: who really sits there
    device            TEXT NOT NULL DEFAULT '',
    ip                TEXT NOT NULL DEFAULT '',
    created_us        BIGINT NOT NULL,
    last_used_us      BIGINT NOT NULL,
    expires_us        BIGINT NOT NULL
);
CREATE INDEX session_account ON session (account_id);
CREATE INDEX session_expires ON session (expires_us);

-- Other ways to reach a person; never used before it is verified.
CREATE TABLE contact (
    id          BYTEA PRIMARY KEY,
    account_id  BYTEA NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL CHECK (kind IN ('recovery')),
    address     TEXT NOT NULL,
    verified_us BIGINT,
    created_us  BIGINT NOT NULL,
    UNIQUE (account_id, kind, address)
);

-- A filtered mailbox. Its address is the row of kind mailbox in address; nobody may have signed in for it yet.
CREATE TABLE mailbox (
    id          BYTEA PRIMARY KEY,
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    account_id  BYTEA REFERENCES account (id) ON DELETE SET NULL,
    enabled     SMALLINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL
);
CREATE INDEX mailbox_domain ON mailbox (domain_id);
CREATE INDEX mailbox_account ON mailbox (account_id);

-- Every address that exists, whatever it is. The catch-all's local part is empty.
CREATE TABLE address (
    id          BYTEA PRIMARY KEY,
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    local       TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('mailbox', 'alias', 'list', 'catchall', 'sender', 'group')),
    mailbox_id  BYTEA REFERENCES mailbox (id) ON DELETE CASCADE,
    enabled     SMALLINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_us  BIGINT NOT NULL,
    UNIQUE (domain_id, local),
    CHECK ((kind = 'mailbox') = (mailbox_id IS NOT NULL)),
    CHECK ((kind = 'catchall') = (local = ''))
);
CREATE INDEX address_mailbox ON address (mailbox_id);

-- Where aliases, lists, groups and catch-alls lead: whole addresses, ours or not.
CREATE TABLE address_target (
    address_id  BYTEA NOT NULL REFERENCES address (id) ON DELETE CASCADE,
    target      TEXT NOT NULL,
    PRIMARY KEY (address_id, target)
);
CREATE INDEX address_target_target ON address_target (target);

-- Thresholds and settings, a row a scope that has any. NULL inherits: mailbox from domain from global from built in.
-- scope_id is what is searched (global: 16 zero bytes); domain_id and mailbox_id say the same again, so that what
-- belongs to a domain or mailbox goes with it.
CREATE TABLE setting (
    scope_kind         TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id           BYTEA NOT NULL,
    domain_id          BYTEA REFERENCES domain (id) ON DELETE CASCADE,
    mailbox_id         BYTEA REFERENCES mailbox (id) ON DELETE CASCADE,
    reject             DOUBLE PRECISION,            -- scores; 999 is off
    add_header         DOUBLE PRECISION,
    greylist           DOUBLE PRECISION,
    block_action       TEXT CHECK (block_action IN ('reject', 'quarantine', 'discard')),
    greylisting        SMALLINT CHECK (greylisting IN (0, 1)),
    regex_role         TEXT CHECK (regex_role IN ('user', 'clerk', 'owner', 'admin')),  -- the least that may write one
    mailbox_thresholds SMALLINT CHECK (mailbox_thresholds IN (0, 1)),   -- may a mailbox have its own
    rules_max          BIGINT CHECK (rules_max >= 0),                   -- rules of the domain
    mailbox_rules_max  BIGINT CHECK (mailbox_rules_max >= 0),           -- rules of each of its mailboxes
    updated_us         BIGINT NOT NULL,
    PRIMARY KEY (scope_kind, scope_id),
    CHECK ((scope_kind = 'domain') = (domain_id IS NOT NULL)),
    CHECK ((scope_kind = 'mailbox') = (mailbox_id IS NOT NULL))
);
CREATE INDEX setting_domain ON setting (domain_id);
CREATE INDEX setting_mailbox ON setting (mailbox_id);

-- A named set of rules in one scope. A global one acts where it is locked, assigned or the default.
CREATE TABLE policy (
    id          BYTEA PRIMARY KEY,
    scope_kind  TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id    BYTEA NOT NULL,                     -- as in setting
    domain_id   BYTEA REFERENCES domain (id) ON DELETE CASCADE,
    mailbox_id  BYTEA REFERENCES mailbox (id) ON DELETE CASCADE,
    name        TEXT NOT NULL,
    priority    BIGINT NOT NULL DEFAULT 100,        -- the lower decides
    locked      SMALLINT NOT NULL DEFAULT 0 CHECK (locked IN (0, 1)),
    is_default  SMALLINT NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
    enabled     SMALLINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    created_us  BIGINT NOT NULL,
    updated_us  BIGINT NOT NULL,
    UNIQUE (scope_kind, scope_id, name),
    CHECK ((scope_kind = 'domain') = (domain_id IS NOT NULL)),
    CHECK ((scope_kind = 'mailbox') = (mailbox_id IS NOT NULL)),
    CHECK (is_default = 0 OR scope_kind = 'global'),
    CHECK (locked = 0 OR scope_kind <> 'mailbox')
);
CREATE INDEX policy_domain ON policy (domain_id);
CREATE INDEX policy_mailbox ON policy (mailbox_id);

CREATE TABLE policy_assignment (
    policy_id   BYTEA NOT NULL REFERENCES policy (id) ON DELETE CASCADE,    -- a global one
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    created_us  BIGINT NOT NULL,
    PRIMARY KEY (policy_id, domain_id)
);
CREATE INDEX policy_assignment_domain ON policy_assignment (domain_id);

-- conditions is the JSON array of lib/rules/rule.h. Ids ascend with age, which the last tie-break asks for.
CREATE TABLE rule (
    id            BYTEA PRIMARY KEY,
    policy_id     BYTEA NOT NULL REFERENCES policy (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    action        TEXT NOT NULL CHECK (action IN ('allow', 'block')),
    priority      BIGINT NOT NULL DEFAULT 100,      -- the lower decides
    enabled       SMALLINT NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
    flow          TEXT NOT NULL DEFAULT 'from' CHECK (flow IN ('from', 'to', 'from_or_to')),
    expires_us    BIGINT,                           -- NULL: never
    require_proof SMALLINT NOT NULL DEFAULT 1 CHECK (require_proof IN (0, 1)),
    test_only     SMALLINT NOT NULL DEFAULT 0 CHECK (test_only IN (0, 1)),
    note          TEXT NOT NULL DEFAULT '',
    conditions    TEXT NOT NULL,
    created_us    BIGINT NOT NULL,
    updated_us    BIGINT NOT NULL
);
-- A scope is loaded policy by policy; the id behind it makes paging by age a walk along the index.
CREATE INDEX rule_policy ON rule (policy_id, id);

-- What reports leave behind. sender is in the grammar of rules; proof says on what it rests. Hits keep it alive by
-- moving expires_us, which is no change of the rules.
CREATE TABLE learned (
    id          BYTEA PRIMARY KEY,
    mailbox_id  BYTEA NOT NULL REFERENCES mailbox (id) ON DELETE CASCADE,
    action      TEXT NOT NULL CHECK (action IN ('allow', 'block')),
    sender      TEXT NOT NULL,
    proof       TEXT NOT NULL,
    report_uid  TEXT,                               -- the message that was reported
    expires_us  BIGINT NOT NULL,
    created_us  BIGINT NOT NULL,
    UNIQUE (mailbox_id, sender)
);
CREATE INDEX learned_expires ON learned (expires_us);

-- The change feed. Whoever writes takes the next number from the one row of change_head and so waits for whoever
-- took the last one to commit: the order of numbers is the order of commits.
CREATE TABLE change_head (
    one  SMALLINT PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL
);
INSERT INTO change_head (one, seq) VALUES (1, 0);

CREATE TABLE change (
    seq         BIGINT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('rule', 'policy', 'assignment', 'setting', 'learned', 'domain', 'mailbox',
                                              'address')),
    scope_kind  TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id    BYTEA NOT NULL,
    object_id   BYTEA,                              -- NULL: the whole scope
    at_us       BIGINT NOT NULL
);

-- Who did what. hash covers the hash before it, the other columns and payload_sha256; the payload may be erased.
CREATE TABLE audit (
    node_id        BYTEA NOT NULL REFERENCES node (id),
    seq            BIGINT NOT NULL,
    at_us          BIGINT NOT NULL,
    actor_kind     TEXT NOT NULL CHECK (actor_kind IN ('system', 'operator', 'account', 'api_key')),
    actor_id       BYTEA NOT NULL,                  -- zero for system and operator; kept when the account goes
    actor_name     TEXT NOT NULL,
    acting_for     TEXT,
    source         TEXT NOT NULL,                   -- 'command line', an IP address, a program
    action         TEXT NOT NULL,                   -- 'rule.add'
    object_kind    TEXT NOT NULL,
    object_id      BYTEA,
    scope_kind     TEXT NOT NULL CHECK (scope_kind IN ('global', 'domain', 'mailbox')),
    scope_id       BYTEA NOT NULL,                  -- whom it concerns
    payload        TEXT,                            -- JSON: before, after; NULL: erased
    payload_sha256 BYTEA NOT NULL,
    previous       BYTEA NOT NULL,
    hash           BYTEA NOT NULL,
    PRIMARY KEY (node_id, seq)
);
CREATE INDEX audit_time ON audit (at_us);
CREATE INDEX audit_scope ON audit (scope_kind, scope_id, at_us);

-- Mail that we send: put here in the transaction that decides it, sent by whoever holds the lease.
CREATE TABLE outbox (
    id              BYTEA PRIMARY KEY,
    kind            TEXT NOT NULL,                  -- 'signin', 'digest', …: who made it
    idempotency_key TEXT NOT NULL UNIQUE,           -- the same mail is put here once
    recipient       TEXT NOT NULL,
    payload         BYTEA NOT NULL,                 -- the message as it is sent
    state           TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),
    attempts        BIGINT NOT NULL DEFAULT 0,
    next_us         BIGINT NOT NULL,                -- not before
    lease_until_us  BIGINT NOT NULL DEFAULT 0,
    lease_by        TEXT,
    answer          TEXT,                           -- of the server, last time
    created_us      BIGINT NOT NULL,
    done_us         BIGINT
);
CREATE INDEX outbox_due ON outbox (next_us) WHERE state = 'waiting';

-- Programs that call the API. The key itself is nowhere, only its hash.
CREATE TABLE api_key (
    id           BYTEA PRIMARY KEY,
    tenant_id    BYTEA NOT NULL REFERENCES tenant (id),
    name         TEXT NOT NULL,
    key_sha256   BYTEA NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,                     -- 'ingest:rspamd report', separated by blanks
    role         TEXT NOT NULL CHECK (role IN ('user', 'clerk', 'owner', 'admin')),  -- at most
    networks     TEXT NOT NULL DEFAULT '',          -- CIDR blocks it may come from; '': any
    created_us   BIGINT NOT NULL,
    expires_us   BIGINT,
    last_used_us BIGINT,
    revoked_us   BIGINT
);
CREATE INDEX api_key_tenant ON api_key (tenant_id);

-- The domains that a key is bound to; none: all of its tenant.
CREATE TABLE api_key_domain (
    api_key_id  BYTEA NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
    domain_id   BYTEA NOT NULL REFERENCES domain (id) ON DELETE CASCADE,
    PRIMARY KEY (api_key_id, domain_id)
);
CREATE INDEX api_key_domain_domain ON api_key_domain (domain_id);

-- Answers to writes that a caller may send twice.
CREATE TABLE idempotency (
    owner_id       BYTEA NOT NULL,                  -- account or API key
    key            TEXT NOT NULL,
    request_sha256 BYTEA NOT NULL,                  -- the same key with another request is refused
    status         BIGINT,                          -- NULL: being worked on
    response       TEXT,
    created_us     BIGINT NOT NULL,
    PRIMARY KEY (owner_id, key)
);
CREATE INDEX idempotency_created ON idempotency (created_us);
