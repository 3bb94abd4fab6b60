# `make site` turns this machine into a mirror; `make test` proves the project. `make help` lists the rest.
INVENTORY ?= inventory.example
# more arguments for ansible-playbook: make site ARGS="--check --diff"
ARGS ?=

# only the example makes a mirror of this very machine: it needs root and loop devices here
ifeq ($(INVENTORY),inventory.example)
HERE := host
endif

BIN := .venv/bin
PLAY = $(BIN)/ansible-playbook --inventory $(INVENTORY) $(ARGS)
# in a world-writable directory Ansible would not read its config by itself
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export LC_ALL := C.UTF-8

.PHONY: help venv site clean-site test quick lint unit integration molecule test-vm bench soak

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: ## make or update .venv and .collections
	@scripts/bootstrap

# what has a comma is a list of hosts
.PHONY: inventory
inventory:
	@case '$(INVENTORY)' in *,*) ;; *) [ -e '$(INVENTORY)' ] || \
		{ echo "INVENTORY=$(INVENTORY): there is no such file; copy inventory.example to it" >&2; exit 2; } ;; esac

site: inventory ## provision and sync the hosts of INVENTORY (default: inventory.example, this machine)
	@scripts/bootstrap $(HERE)
	@$(PLAY) site.yml

clean-site: inventory ## take the mirror off the hosts again; asks before it deletes data
	@scripts/bootstrap
	@$(PLAY) playbooks/remove.yml

test: lint unit integration molecule ## everything that CI runs

quick: lint unit ## the part of it that takes a minute

lint: venv ## static checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint

unit: venv ## tests of the engine's parts
	$(BIN)/pytest tests/unit

integration: venv ## tests of the whole engine and of the Ansible module, on loopback
	$(BIN)/pytest tests/integration

molecule: venv ## whole hosts, in containers
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/molecule

test-vm: venv ## a real disk and a true reboot, in a virtual machine: minutes without KVM
	@scripts/test-vm

bench: venv ## the benchmark, small size: under ten minutes
	$(BIN)/python benchmarks/mirror.py

soak: venv ## the fault tests at full length: some twenty minutes
	SOAK=1 $(BIN)/pytest tests/integration
