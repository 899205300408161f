# SPDX-License-Identifier: BSD-3-Clause
#
# Tests. Each unit test links only what it tests: that it links proves that the module needs nothing else.

VHOST_USER := tests/unit/vhost_user_peer.c front/vhost_user.c front/vhost_user_device.c front/vhost_user_ring.c \
	front/vring.c front/guest_memory.c common/log.c

UNIT_check_guest_memory := front/guest_memory.c
UNIT_check_vring := front/vring.c front/guest_memory.c common/log.c
UNIT_check_vhost_user := $(VHOST_USER)
UNIT_check_vhost_user_hostile := $(VHOST_USER)
UNIT_check_rpc := proto/rpc.c
UNIT_check_msg := common/msg.c
UNIT_check_nodes := front/nodes.c common/log.c
UNIT_check_handles := front/handles.c
UNIT_check_lane := front/lane.c common/mailbox.c common/msg.c proto/rpc.c
UNIT_check_mailbox := common/mailbox.c
FUSE := $(addprefix front/,cache.c fuse.c fuse_names.c fuse_attr.c fuse_file.c fuse_open.c fuse_dir.c fuse_statx.c \
	fuse_ioctl.c session.c reply.c data.c nodes.c handles.c lane.c) common/mailbox.c common/msg.c proto/rpc.c
FUSE_RIG := $(FUSE) common/log.c tests/unit/fake_lanes.c tests/unit/fuse_rig.c
UNIT_check_fuse_beyond := $(FUSE_RIG)
UNIT_check_fuse_data := $(FUSE_RIG)
UNIT_check_fuse_decode := $(FUSE_RIG)
UNIT_check_fuse_replies := $(FUSE_RIG)
UNIT_check_fuse_session := $(FUSE_RIG)
OPTIONS := $(addprefix tests/unit/options_,rig.c rows.c rows_compat.c) $(sort $(wildcard monitor/options*.c)) common/log.c
UNIT_check_options := $(OPTIONS)
UNIT_check_options_more := $(OPTIONS)
UNIT_check_logfilter := monitor/logfilter.c common/log.c
VAULT := tests/unit/vault_rig.c monitor/vault.c monitor/vault_store.c monitor/vault_table.c common/msg.c common/log.c
UNIT_check_vault := $(VAULT)
UNIT_check_vault_restart := $(VAULT)
UNIT_check_respawn := tests/unit/fake_children.c common/msg.c
# What code inside a sandbox or under a profile can do.
UNIT_check_inside := $(addprefix tests/unit/inside_,role.c escape.c calls.c works.c) front/seccomp.c \
	monitor/seccomp.c proto/rpc.c common/child.c common/mailbox.c $(COMMON_SRCS) \
	$(filter-out worker/main.c,$(sort $(wildcard worker/*.c)))
# These start the real worker, with a monitor, vault and front of their own around it.
WORKER_RIG := $(addprefix tests/unit/worker_rig,.c _front.c _tools.c _vault.c) proto/rpc.c common/msg.c
UNIT_check_worker_attrs := $(WORKER_RIG)
UNIT_check_worker_beyond := $(WORKER_RIG)
UNIT_check_worker_crash := tests/unit/worker_cases.c $(WORKER_RIG)
UNIT_check_worker_inodes := $(WORKER_RIG)
UNIT_check_worker_life := $(WORKER_RIG)
UNIT_check_worker_ops := $(WORKER_RIG)
UNIT_check_worker_replay := tests/unit/worker_cases.c $(WORKER_RIG)
UNIT_check_worker_restart := $(WORKER_RIG)

# Fuzz harnesses, here with their own generator: FUZZ_RUNS inputs each. With libFuzzer: make fuzz.
FUZZ_fuzz_rpc := proto/rpc.c
FUZZ_fuzz_vring := front/vring.c front/guest_memory.c common/log.c
FUZZ_fuzz_fuse := tests/unit/fake_lanes.c $(FUSE)
FUZZERS := fuzz_fuse fuzz_rpc fuzz_vring

# Programs that drive the real daemon.
HARNESS_LIB := $(addprefix tests/harness/,vmm.c vmm_proc.c vmm_mem.c vmm_msg.c vmm_queue.c fuse_client.c \
	fuse_ops.c fuse_ops_file.c fuse_beyond.c harness.c)
harness_srcs = $(HARNESS_LIB) $(sort $(wildcard tests/harness/$(1)_*.c)) $(HARNESS_$(1))
# It knows which options are refused by reading the table of them.
HARNESS_check_cli := $(OPTIONS)
HARNESS_check_idle := tests/bench/usage.c
UNIT_TESTS := $(sort $(patsubst UNIT_%,%,$(filter UNIT_check_%,$(.VARIABLES))))
HARNESS_TESTS := check_cli check_seccomp check_syscalls check_fuse check_hostile check_idle check_priv check_vhost check_restart

# name, folder, sources beside its own
define test_program
$(B)/tests/$(1): $(call obj,tests/$(2)/$(1).c $(3))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS_CHECK) $$(LIBS_PROC)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call test_program,$(t),unit,$(UNIT_$(t)))))
$(foreach t,$(HARNESS_TESTS),$(eval $(call test_program,$(t),harness,$(call harness_srcs,$(t)))))

define fuzzer
$(B)/tests/$(1): $(call obj,tests/fuzz/$(1).c tests/fuzz/main.c $(FUZZ_$(1)))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS_CHECK)
$(B)/fuzz/$(1): tests/fuzz/$(1).c $(FUZZ_$(1))
	@mkdir -p $$(@D)
	clang $$(CPPFLAGS_ALL) -std=gnu17 -g -O1 -pthread -fsanitize=fuzzer,address,undefined -o $$@ $$^
endef
$(foreach t,$(FUZZERS),$(eval $(call fuzzer,$(t))))
unit-tests: $(FUZZERS:%=$(B)/tests/%)

.PHONY: fuzz
fuzz: $(FUZZERS:%=$(B)/fuzz/%)
	@echo "run one of: $^"

# A worker that dies where a test wants it to (worker/crash.h), beside the real one: check_worker_crash starts it.
CRASH_WORKER := $(B)/crash/virtiofsd-worker
.PHONY: crash-worker
crash-worker:
	@$(MAKE) --no-print-directory B=$(B)/crash CPPFLAGS="$(CPPFLAGS) -DCRASH_POINTS" $(CRASH_WORKER)

# Writes the manual page's list of options.
$(B)/tests/mdoc-options: $(call obj,man/mdoc-options.c $(addprefix monitor/options_,compat.c set.c table.c))
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

.PHONY: man
man: $(B)/tests/mdoc-options
	VIRTIOFSD=$(B)/virtiofsd tests/man-options --write

.PHONY: unit-tests harness-tests
unit-tests: crash-worker $(B)/tests/mdoc-options
unit-tests: $(UNIT_TESTS:%=$(B)/tests/%)
harness-tests: $(HARNESS_TESTS:%=$(B)/tests/%) $(B)/tests/liar crash-build

# For check_restart: a hostile worker, and a daemon whose worker dies where a file in the share says.
$(B)/tests/liar: $(call obj,tests/harness/liar.c common/msg.c proto/rpc.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

.PHONY: crash-build
crash-build: crash-worker
	$(MAKE) B=$(B)/crash CPPFLAGS="$(CPPFLAGS) -DCRASH_POINTS" all

# What the tests need is installed before anything is built, so the rest is another make.
.PHONY: check check-built check-asan check-long check-model demo
check:
	tests/install-deps
	$(MAKE) check-built

check-built: all unit-tests harness-tests
	WORKER_EXE=$(abspath $(B))/virtiofsd-worker \
	    UNIT_TESTS="$(UNIT_TESTS) $(FUZZERS)" HARNESS_TESTS="$(HARNESS_TESTS)" tests/check $(B) $(GROUPS)

# The same unit and harness tests with the sanitizers in them and in the daemon, whose profiles know nothing of a
# sanitizer's own system calls: without seccomp. What looks at the profiles, counts system calls or brings its own
# command line is left out.
ASAN_LEAVE_OUT := check_priv check_seccomp check_syscalls check_cli check_respawn
check-asan:
	$(MAKE) B=$(B)/asan SAN=address,undefined all unit-tests harness-tests
	WORKER_EXE=$(abspath $(B))/asan/virtiofsd-worker WORKER_SECCOMP_NONE=1 \
	    VIRTIOFSD="$(abspath $(B))/asan/virtiofsd --seccomp=none" UNIT_TESTS="$(filter-out $(ASAN_LEAVE_OUT),$(UNIT_TESTS)) $(FUZZERS)" \
	    HARNESS_TESTS="$(filter-out $(ASAN_LEAVE_OUT),$(HARNESS_TESTS))" tests/check $(B)/asan unit harness

# The protocol of a restart, every interleaving; and that its mutations are found.
check-model:
	tests/install-deps
	tests/model/run

# Each workload on each file system, with hundreds of kills.
check-long:
	tests/install-deps
	$(MAKE) all harness-tests
	VIRTIOFSD=$$(readlink -f $(B))/virtiofsd tests/guest/assassin --long

demo:
	tests/install-deps
	$(MAKE) all
	tests/demo

SOURCES := $(wildcard common/*.[ch] proto/*.[ch] front/*.[ch] worker/*.[ch] monitor/*.[ch])
SCRIPTS := .ci/run tests/check tests/demo tests/imports tests/install-deps tests/layers tests/man-options tests/model/run tests/profiles \
	$(addprefix tests/guest/,assassin assassin-guest uml uml-init qemu queues newer run with-daemon) $(wildcard tests/guest/workloads/*.sh)
.PHONY: lint
lint:
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr --std=c11 \
	    --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -I. -D_GNU_SOURCE -DVERSION='"0"' \
	    common proto front worker monitor
	shellcheck $(SCRIPTS)
	mandoc -Tlint -W warning man/*.[1-8]

include tests/bench/bench.mk
