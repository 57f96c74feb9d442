# Postern. What there is to say to it:
#
#   make            the programs, in ./build/
#   make run        installs what is missing, builds, and starts everything on loopback with an example
#   make check      installs what tests need, and runs them all: unit, the same under sanitizers, system
#   make unit       the unit tests alone             make unit T=rules_     those whose name has this in it
#   make system     the system tests alone           make system T=spamd    the same
#   make browser    the pages in Chromium            make browser T=mail    the same
#   make tests      the programs and all that system and browser tests start besides, for one that is run by hand (docs/adding.md)
#   make screenshots  of each page and of a digest, into docs/screenshots (T=digest: of those alone)
#   make lint       formatting, static analysis, and who may include whom (make graph prints that)
#   make fuzz       ten minutes for each fuzz target (MINUTES=1 for less), with clang
#   make bench      how fast, beside Rspamd and spamd
#   make bench-log  the message log with ten million deliveries (N=200000 for fewer), on both databases
#   make learning   that reports teach the filter, at full size (docs/trainer.md); tens of minutes
#   make install    DESTDIR= PREFIX=/usr/local: programs, pages, manuals, units, examples (docs/install.md); uninstall removes them
#   make deps       installs the Debian packages that building needs; clean removes what was built
#
# What may be set on the command line:
#
#   CC       the compiler; gcc and clang build without a warning
#   BUILD    where everything that is made goes
#   SAN      1: AddressSanitizer and UBSan; thread: ThreadSanitizer. Has a folder of its own below BUILD
#   COV      1: with coverage counters, in a folder of its own
#   T        a part of the names of the tests to run
#   J        how many jobs at once `make check` builds with
#   V        1: show the whole commands
CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
COV     ?=
T       ?=
MINUTES ?= 10
N       ?= 10000000
J       ?= $(shell nproc)
export BUILD OUT T SAN

OUT := $(BUILD)$(if $(SAN),/san-$(SAN))$(if $(COV),/cov)

# ---- How a file is compiled -------------------------------------------------------------------------------

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wformat=2 -Wno-format-nonliteral -Wundef -Wvla -Wwrite-strings
HARD := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE
LINK := -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack -Wl,--as-needed
# Several hundred test programs are linked: gold, where it is there, takes a third of the time. What is installed is linked as usual.
GOLD := $(if $(shell command -v ld.gold),-fuse-ld=gold)

comma := ,
ifeq ($(SAN),)
HARD += -D_FORTIFY_SOURCE=2
else
KIND := -fsanitize=$(if $(filter thread,$(SAN)),thread,address$(comma)undefined) -fno-omit-frame-pointer
KIND += $(if $(filter thread,$(SAN)),,-fno-sanitize-recover=undefined)
endif
KIND += $(if $(COV),--coverage)

# Sanitized twins are built to run once: what -O2 and full debugging symbols cost the compiler, they never give back.
CFLAGS   ?= $(if $(SAN),-O1 -g1,-O2 -g)
ALL_FLAGS = -std=c17 -D_GNU_SOURCE -Ilib $(CFLAGS) $(WARN) $(HARD) $(KIND) -pthread -MMD -MP

# ---- The libraries, and what each needs from outside; a third-party header has one home (see graph) ---------

LIBS := base db mail net rules store vault scan custody letter

NEEDS_base  :=
NEEDS_db    := base
NEEDS_mail  := base
NEEDS_net   := base
NEEDS_rules := mail base
NEEDS_store := rules mail db base
NEEDS_vault := net base
NEEDS_scan  := rules net mail base
NEEDS_custody := scan store rules vault net mail db base
NEEDS_letter := custody scan store rules vault net mail db base
NEEDS_all   := letter custody scan store rules vault net mail db base

PKG_base  := inih libxxhash libsodium glib-2.0
PKG_db    := sqlite3 libpq
PKG_mail  := gmime-3.0 libidn2 libpsl
PKG_net   := zlib libzstd libcurl hiredis libmicrohttpd libcjson
PKG_rules := libpcre2-8 libcjson
PKG_store := libsodium libcjson
PKG_vault := libsodium libzstd
PKG_all   := libcjson libsodium

pkg = $(if $(1),$(shell pkg-config $(2) $(1) 2>/dev/null))
$(foreach l,$(LIBS) all,$(eval CFLAGS_$(l) := $(call pkg,$(PKG_$(l)),--cflags)))
$(foreach l,$(LIBS) all,$(eval LDLIBS_$(l) := $(call pkg,$(PKG_$(l)),--libs)))
LDLIBS_mail += -lunistring # which pkg-config does not know

# The compiler flags that a file gets besides: those of its library, or of all for a program or a test.
# The unit tests' own code is not what should be quick.
flags_of = $(if $(filter lib/%,$(1)),$(CFLAGS_$(patsubst lib/%/,%,$(dir $(1)))),$(foreach l,$(LIBS) all,$(CFLAGS_$(l)))) \
           $(if $(filter tests/unit/%,$(1)),-O1)
objects  = $(patsubst %.c,$(OUT)/obj/%.o,$(1))
# What to link for a library (or "all") and everything below it, the upper ones first.
archives = $(foreach l,$(filter-out all,$(1)) $(NEEDS_$(1)),$(OUT)/lib$(l).a)
ldlibs   = $(sort $(foreach l,$(1) $(NEEDS_$(1)),$(LDLIBS_$(l)))) -lm

# A folder with a main.c becomes a program of this name.
PROGRAM_rulesd  := postern-rulesd
PROGRAM_trainer := postern-trainer
PROGRAM_digest  := postern-digest
PROGRAM_portal  := postern-portal
PROGRAM_cli     := postern
PARTS    := rulesd trainer digest portal cli
FOLDERS  := $(foreach f,$(PARTS),$(if $(wildcard $(f)/main.c),$(f)))
PROGRAMS := $(foreach f,$(FOLDERS),$(OUT)/$(PROGRAM_$(f)))

# ---- Building ---------------------------------------------------------------------------------------------

# $(call say,CC,file): what is going on, in a word; V=1 shows the command instead.
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:
.PHONY: all deps deps-test deps-bench deps-fuzz deps-lint run check unit unit-build tests system browser screenshots lint format fuzz bench bench-log learning graph install uninstall clean help

all: $(PROGRAMS)

$(OUT)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_FLAGS) $(call flags_of,$<) -c -o $@ $<

# The migrations become C, so that no program needs a file at run time.
$(OUT)/gen/schema.c: schema/embed $(wildcard schema/*/*.sql)
	@mkdir -p $(@D)
	$(call say,EMBED,schema)
	$(Q)schema/embed $(filter %.sql,$^) > $@

$(OUT)/obj/gen/schema.o: $(OUT)/gen/schema.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_FLAGS) -c -o $@ $<

# The templates of mail become C for the same reason.
TEMPLATES := $(addprefix lib/letter/templates/,digest.html digest.txt link.html link.css)

$(OUT)/gen/templates.c: lib/letter/templates/embed $(TEMPLATES)
	@mkdir -p $(@D)
	$(call say,EMBED,lib/letter/templates)
	$(Q)lib/letter/templates/embed $(TEMPLATES) > $@

$(OUT)/obj/gen/templates.o: $(OUT)/gen/templates.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_FLAGS) -c -o $@ $<

SOURCES_db_extra     := $(if $(wildcard schema/embed),$(OUT)/obj/gen/schema.o)
SOURCES_letter_extra := $(OUT)/obj/gen/templates.o

define library
$(OUT)/lib$(1).a: $$(call objects,$$(filter-out %/main.c,$$(wildcard $(2)/*.c))) $$(SOURCES_$(1)_extra)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR,$(2))
	$$(Q)$(AR) rcs $$@ $$^
endef
$(foreach l,$(LIBS),$(eval $(call library,$(l),lib/$(l))))
$(foreach f,$(PARTS),$(eval $(call library,$(f),$(f))))

define program
$(OUT)/$(PROGRAM_$(1)): $(OUT)/obj/$(1)/main.o $(OUT)/lib$(1).a $$(call archives,all)
	$$(call say,LINK,$$(@F))
	$$(Q)$$(CC) $$(CFLAGS) $$(KIND) $$(LINK) -pthread -o $$@ $$^ $$(call ldlibs,all)
endef
$(foreach f,$(FOLDERS),$(eval $(call program,$(f))))

# Those files whose name has T in it; without T all.
wanted = $(if $(T),$(foreach f,$(1),$(if $(findstring $(T),$(notdir $(f))),$(f))),$(1))

# tests/unit/rules_pattern.c knows lib/rules and what lies below it; rulesd_cache.c knows rulesd/ (all but its main.c)
# and every library; any other first word means every library too.
UNIT_SOURCES := $(wildcard tests/unit/*.c)
UNITS        := $(patsubst tests/unit/%.c,$(OUT)/unit/%,$(UNIT_SOURCES))
UNITS_WANTED := $(call wanted,$(UNITS))
unit_word     = $(firstword $(subst _, ,$(1)))
unit_lib      = $(or $(filter $(call unit_word,$(1)),$(LIBS)),all)
unit_part     = $(patsubst %,$(OUT)/lib%.a,$(filter $(call unit_word,$(1)),$(PARTS)))

$(OUT)/unit/%: $(OUT)/obj/tests/unit/%.o $$(call unit_part,$$*) $$(call archives,$$(call unit_lib,$$*))
	@mkdir -p $(@D)
	$(call say,LINK,unit/$*)
	$(Q)$(CC) $(CFLAGS) $(KIND) $(LINK) $(GOLD) -pthread -o $@ $^ $(call ldlibs,$(call unit_lib,$*)) -lcmocka

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

# ---- Testing ----------------------------------------------------------------------------------------------

unit-build: $(UNITS_WANTED)

unit: $(UNITS_WANTED)
	@tests/run.mjs --unit "unit$(if $(SAN), SAN=$(SAN))" $(UNITS_WANTED)

SYSTEM_TESTS  := $(wildcard tests/system/*.test.mjs)
SYSTEM_WANTED := $(call wanted,$(SYSTEM_TESTS))

# What system tests load into a program with LD_PRELOAD.
SHIMS := $(patsubst tests/shim/%.c,$(OUT)/shim/%.so,$(wildcard tests/shim/*.c))

$(OUT)/shim/%.so: tests/shim/%.c
	@mkdir -p $(@D)
	$(call say,SHIM,$<)
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -O2 -g $(WARN) -fPIC -shared -o $@ $<

# All that a system or browser test starts: run by hand, they need nothing else made.
TESTED := $(PROGRAMS) $(SHIMS) $(addprefix $(OUT)/bench-,log maillog digest)

tests: $(TESTED)

system: tests
	@tests/run.mjs --system "system" $(SYSTEM_WANTED)

BROWSER_TESTS  := $(wildcard tests/browser/*.test.mjs)
BROWSER_WANTED := $(call wanted,$(BROWSER_TESTS))

browser: tests
	@tests/run.mjs --system "browser" $(BROWSER_WANTED)

screenshots: deps deps-test all
	@.ci/packages "to make pictures small" pngquant
	node tests/browser/screenshots.mjs docs/screenshots

# What runs in several threads is run under ThreadSanitizer too.
THREADED := $(filter $(OUT)/unit/rulesd_% $(OUT)/unit/base_pause $(OUT)/unit/base_schedule $(OUT)/unit/mail_mustache $(OUT)/unit/net_scanner $(OUT)/unit/net_httpd $(OUT)/unit/net_lmtp_service $(OUT)/unit/portal_static $(OUT)/unit/portal_live $(OUT)/unit/portal_programs,$(UNITS_WANTED))

# Everything, on a fresh machine too. What building needs comes first; the rest is fetched while the programs are compiled. The sanitized
# twins of the unit tests, in folders of their own, are made while the tests that need none are running.
check: deps
	@.ci/packages "to build tests" libcmocka-dev
	$(MAKE) -j$$(($(J) + 1)) --no-print-directory deps-test tests unit-build
	@tests/run.mjs --system "browser" $(BROWSER_WANTED) \
	               --system "system" $(SYSTEM_WANTED) \
	               --unit "unit" $(UNITS_WANTED) \
	               --make "SAN=1" -j$(J) --no-print-directory SAN=1 unit-build \
	               --unit "unit SAN=1" $(patsubst $(OUT)/%,$(BUILD)/san-1/%,$(UNITS_WANTED)) \
	               $(if $(THREADED),--make "SAN=thread" -j$(J) --no-print-directory SAN=thread $(patsubst $(OUT)/%,$(BUILD)/san-thread/%,$(THREADED)) \
	               --unit "unit SAN=thread" $(patsubst $(OUT)/%,$(BUILD)/san-thread/%,$(THREADED)))

graph:
	@tests/graph

lint: deps-lint
	tests/lint

format:
	clang-format -i $(wildcard lib/*/*.[ch] rulesd/*.[ch] trainer/*.[ch] digest/*.[ch] portal/*.[ch] cli/*.[ch] tests/*/*.[ch])

fuzz: deps-fuzz
	tests/fuzz/run $(MINUTES) $(T)

BENCHES := $(patsubst tests/bench/%.c,$(OUT)/bench-%,$(wildcard tests/bench/*.c))

# What of a program is measured without the program itself.
bench_part = $(if $(filter maillog,$(1)),$(OUT)/librulesd.a)

$(OUT)/bench-%: $(OUT)/obj/tests/bench/%.o $$(call bench_part,$$*) $$(call archives,all)
	$(CC) $(CFLAGS) $(KIND) $(LINK) -pthread -o $@ $^ $(call ldlibs,all)

bench: deps-bench all $(BENCHES)
	tests/bench/run $(T)

bench-log: deps deps-test $(OUT)/bench-log
	tests/bench/log.mjs $(N)

learning: deps deps-test tests
	LEARN=200 REPORTS=1000 KILLS=50 SILENT=1 node --test tests/system/bayes.test.mjs tests/system/drain.test.mjs

# ---- Running and installing -------------------------------------------------------------------------------

DEPS := gcc make pkg-config tzdata libinih-dev libxxhash-dev libglib2.0-dev libsqlite3-dev libpq-dev libgmime-3.0-dev \
        libidn2-dev libpsl-dev libunistring-dev zlib1g-dev libzstd-dev libcurl4-openssl-dev libhiredis-dev libmicrohttpd-dev \
        libpcre2-dev libcjson-dev libsodium-dev
DEPS_RUN  := spamc curl
DEPS_TEST := nodejs npm chromium fonts-dejavu-core libcmocka-dev postgresql redis-server sqlite3 zstd openssl procps $(DEPS_RUN)
DEPS_LINT := git clang-format clang-tidy cppcheck

deps:
	@.ci/packages "to build" $(DEPS)
	@$(MAKE) --no-print-directory portal/web/node_modules/.package-lock.json

# What the pages load from npm, exactly as the lock file says.
portal/web/node_modules/.package-lock.json: portal/web/package-lock.json
	@.ci/packages "to fetch what the pages load" npm
	cd portal/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# What drives the browser, from npm, exactly as the lock file says.
tests/browser/node_modules/.package-lock.json: tests/browser/package-lock.json
	cd tests/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# The cases that the templates are checked against, from npm, likewise.
tests/mustache/node_modules/.package-lock.json: tests/mustache/package-lock.json
	cd tests/mustache && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

deps-bench: deps deps-test
	@.ci/packages "to measure beside the peers" libdbd-sqlite3-perl valgrind

deps-fuzz: deps
	@.ci/packages "to fuzz" clang llvm
	@.ci/packages "to fuzz" libclang-rt-$$(clang -dumpversion | cut -d. -f1)-dev

deps-lint: deps
	@.ci/packages "to lint" $(DEPS_LINT)

deps-test:
	@.ci/packages "to test" $(DEPS_TEST)
	@$(MAKE) --no-print-directory tests/browser/node_modules/.package-lock.json
	@$(MAKE) --no-print-directory tests/mustache/node_modules/.package-lock.json
	@tests/peers

run:
	@.ci/packages "to build, and to try what is built" $(DEPS) $(DEPS_RUN)
	@$(MAKE) --no-print-directory portal/web/node_modules/.package-lock.json
	$(MAKE) -j$(J) --no-print-directory all
	exec $(BUILD)/postern run --example run

SYSTEMD := $(notdir $(wildcard examples/systemd/*.service examples/systemd/*.timer))
# The portal's pages, and of what npm fetched the one file that they import, with its licence.
WEB     := $(shell find portal/web -name node_modules -prune -o -type f ! -name 'package*' ! -name '.*' -printf '%P ')
MODULES := htm/preact/standalone.module.js htm/LICENSE

install: all portal/web/node_modules/.package-lock.json
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,bin share/man/man1 share/man/man5 share/man/man8 share/doc/postern lib/systemd/system)
	install -m 755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin/
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	$(OUT)/postern config man > $(DESTDIR)$(PREFIX)/share/man/man5/postern.conf.5
	$(OUT)/postern config example > $(DESTDIR)$(PREFIX)/share/doc/postern/postern.conf
	cp -r README.md LICENSE docs examples $(DESTDIR)$(PREFIX)/share/doc/postern/
	for f in $(WEB); do install -D -m 644 portal/web/$$f $(DESTDIR)$(PREFIX)/share/postern/web/$$f || exit 1; done
	for f in $(MODULES); do install -D -m 644 portal/web/node_modules/$$f $(DESTDIR)$(PREFIX)/share/postern/web/modules/$$f || exit 1; done
	for unit in $(SYSTEMD); do \
	    sed 's|=/usr/bin/|=$(PREFIX)/bin/|' examples/systemd/$$unit > $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit && \
	    chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; done

# What install put there; settings, keys and data stay.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/bin/,$(notdir $(PROGRAMS)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(SYSTEMD))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man1/,$(notdir $(wildcard docs/man/*.1)))
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/share/man/man8/,$(notdir $(wildcard docs/man/*.8)))
	rm -f $(DESTDIR)$(PREFIX)/share/man/man5/postern.conf.5
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/postern $(DESTDIR)$(PREFIX)/share/postern

clean:
	rm -rf $(BUILD)

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile
