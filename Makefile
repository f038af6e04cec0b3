# make demo     builds, and shows a sync from end to end against a server that comes with it
# make test     builds, and runs all tests, those against a real Dovecot included
# make bench    measures homing beside other programs that are installed, and writes docs/benchmarks.md (half an hour;
#               30 GB of disk, freed at its end); ONLY=idle,changes, TOOLS=homing,mbsync, DELAYS=0,100, RUNS=1 or LIMIT=20
#               (seconds for a run) measure less, QUICK=1 less of everything; ONLY=kills counts what each program loses and
#               doubles when it is killed and run again
# make docs     writes what is generated: manual pages, completions, the sample configuration
# make install  builds the release and installs it below PREFIX

PREFIX ?= /usr/local
DESTDIR ?=

# What cargo needs to be told on this machine; ends with an error where the build cannot work.
SETUP = flags=$$(tests/setup.sh)
AT = $(DESTDIR)$(PREFIX)
MAN1 = $(wildcard man/*.1)
MAN5 = $(wildcard man/*.5)

.PHONY: build demo test bench docs install uninstall

build:
	@$(SETUP) && cargo build --release $$flags

demo:
	@$(SETUP) && cargo build $$flags --bin homing --example demo && cargo run --quiet $$flags --example demo

test:
	@$(SETUP) && HOMING_REAL_SERVERS=1 cargo test $$flags

# Each part removes its files at its end, and for some minutes after that ext4 is slow to make new ones.
REST = case ",$$ONLY," in ,,) echo 'the disk rests for six minutes'; sleep 360;; esac

bench:
	@$(SETUP) && HOMING_REAL_SERVERS=1 ONLY='$(ONLY)' TOOLS='$(TOOLS)' DELAYS='$(DELAYS)' RUNS='$(RUNS)' LIMIT='$(LIMIT)' \
		QUICK='$(QUICK)' && export HOMING_REAL_SERVERS ONLY TOOLS DELAYS RUNS LIMIT QUICK \
		&& cargo bench $$flags --bench peers \
		&& case ",$$ONLY," in ,,|*,repair,*) $(REST); cargo bench $$flags --bench repair;; esac \
		&& case ",$$ONLY," in ,,|*,migrate,*) $(REST); cargo bench $$flags --bench migrate;; esac

docs:
	@$(SETUP) && HOMING_BLESS=1 cargo test --quiet $$flags --test kept_in_step

# Builds only where nothing is built yet: `make && sudo make install` needs no toolchain for root.
install:
	@test -x target/release/homing || $(MAKE) build
	install -D -m 755 target/release/homing "$(AT)/bin/homing"
	install -d "$(AT)/share/man/man1" "$(AT)/share/man/man5"
	install -m 644 $(MAN1) "$(AT)/share/man/man1"
	install -m 644 $(MAN5) "$(AT)/share/man/man5"
	install -D -m 644 completions/homing.bash "$(AT)/share/bash-completion/completions/homing"
	install -D -m 644 completions/_homing "$(AT)/share/zsh/site-functions/_homing"
	install -D -m 644 completions/homing.fish "$(AT)/share/fish/vendor_completions.d/homing.fish"
	install -D -m 644 sample-config.toml "$(AT)/share/doc/homing/sample-config.toml"

uninstall:
	rm -f "$(AT)/bin/homing" $(MAN1:man/%="$(AT)/share/man/man1/%") $(MAN5:man/%="$(AT)/share/man/man5/%")
	rm -f "$(AT)/share/bash-completion/completions/homing" "$(AT)/share/zsh/site-functions/_homing"
	rm -f "$(AT)/share/fish/vendor_completions.d/homing.fish" "$(AT)/share/doc/homing/sample-config.toml"
