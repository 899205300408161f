# SPDX-License-Identifier: BSD-3-Clause
#
# Tests. Each unit test links only what it tests: that it links proves that the module needs nothing else.

VHOST_USER := tests/unit/vhost_user_peer.c front/vhost_user.c front/vhost_user_device.c front/vhost_user_ring.c \
	front/vring.c front/guest_memory.c common/log.c

UNIT_check_guest_memory := front/guest_memory.c
UNIT_check_vring := tests/unit/vring_rig.c front/vring.c front/guest_memory.c common/log.c
UNIT_check_vring_chain := $(UNIT_check_vring)
UNIT_check_vhost_user := $(VHOST_USER)
UNIT_check_vhost_user_hostile := $(VHOST_USER)
UNIT_check_rpc := tests/unit/rpc_rig.c proto/rpc.c
UNIT_check_rpc_batch := $(UNIT_check_rpc)
UNIT_check_msg := common/msg.c
UNIT_check_nodes := front/nodes.c common/log.c
UNIT_check_handles := front/handles.c
UNIT_check_pool := front/pool.c front/threads.c common/log.c
UNIT_check_lock_owner := front/lock_owner.c front/lock_wait.c front/lock_ranges.c front/threads.c common/log.c
UNIT_check_lock_ranges := front/lock_ranges.c
UNIT_check_lane := front/lane.c common/mailbox.c common/msg.c proto/rpc.c
UNIT_check_mailbox := common/mailbox.c
FUSE := $(addprefix front/,cache.c fuse.c fuse_names.c fuse_attr.c fuse_file.c fuse_open.c fuse_dir.c fuse_statx.c \
	fuse_ioctl.c fuse_lock.c session.c reply.c lies.c data.c nodes.c handles.c lane.c lock_owner.c lock_ranges.c lock_wait.c \
	threads.c) common/mailbox.c common/msg.c proto/rpc.c
FUSE_RIG := $(FUSE) common/log.c tests/unit/fake_lanes.c tests/unit/fuse_rig.c
UNIT_check_fuse_beyond := $(FUSE_RIG)
UNIT_check_fuse_data := $(FUSE_RIG)
UNIT_check_fuse_decode := $(FUSE_RIG)
UNIT_check_fuse_lock := $(FUSE_RIG)
UNIT_check_fuse_making := $(FUSE_RIG)
UNIT_check_fuse_replies := $(FUSE_RIG)
UNIT_check_fuse_session := $(FUSE_RIG)
UNIT_check_queue := $(FUSE) $(addprefix front/,guest_memory.c lane_pool.c lanes.c park.c pool.c queue.c replay.c restart.c vring.c) \
	common/log.c
OPTIONS := $(addprefix tests/unit/options_,rig.c rows.c rows_compat.c) $(sort $(wildcard monitor/options*.c)) monitor/idmap_parse.c \
	monitor/xattrmap_parse.c common/log.c
UNIT_check_options := $(OPTIONS)
UNIT_check_options_more := $(OPTIONS)
UNIT_check_logfilter := monitor/logfilter.c common/log.c
UNIT_check_xattrmap := common/xattrmap.c monitor/xattrmap_parse.c
UNIT_check_idmap := common/idmap.c monitor/idmap_parse.c
VAULT := tests/unit/vault_rig.c monitor/vault.c monitor/vault_store.c monitor/vault_table.c common/msg.c common/log.c
UNIT_check_vault := $(VAULT)
UNIT_check_vault_mounts := $(VAULT)
UNIT_check_vault_restart := $(VAULT)
UNIT_check_respawn := tests/unit/fake_children.c common/msg.c
# What code inside a sandbox or under a profile can do.
UNIT_check_inside := $(addprefix tests/unit/inside_,role.c escape.c calls.c works.c) front/seccomp.c \
	monitor/seccomp.c proto/rpc.c common/child.c common/mailbox.c $(COMMON_SRCS) $(TABLES_SRCS) \
	$(filter-out worker/main.c,$(sort $(wildcard worker/*.c)))
TABLES := monitor/tables.c monitor/idmap_parse.c monitor/xattrmap_parse.c common/idmap.c common/xattrmap.c
UNIT_check_inodes := worker/inode.c worker/inode_cache.c worker/mounts.c worker/siphash.c common/log.c
UNIT_check_place := worker/place.c common/log.c
# These start the real worker, with a monitor, vault and front of their own around it.
WORKER_RIG := $(addprefix tests/unit/worker_rig,.c _front.c _tools.c _vault.c) proto/rpc.c common/msg.c common/log.c $(TABLES)
UNIT_check_worker_attrs := $(WORKER_RIG)
UNIT_check_worker_beyond := $(WORKER_RIG)
UNIT_check_worker_crash := tests/unit/worker_cases.c $(WORKER_RIG)
UNIT_check_worker_ids := $(WORKER_RIG)
UNIT_check_worker_inodes := $(WORKER_RIG)
UNIT_check_worker_life := $(WORKER_RIG)
UNIT_check_worker_making := $(WORKER_RIG)
UNIT_check_worker_mounts := $(WORKER_RIG)
UNIT_check_worker_names := $(WORKER_RIG)
UNIT_check_worker_ops := $(WORKER_RIG)
UNIT_check_worker_replay := tests/unit/worker_cases.c $(WORKER_RIG)
UNIT_check_worker_restart := $(WORKER_RIG)
UNIT_check_worker_unnamed := $(WORKER_RIG)
UNIT_check_worker_xattr := $(WORKER_RIG)

# Fuzz harnesses, here with their own generator: FUZZ_RUNS inputs each. With libFuzzer: make fuzz.
FUZZ_fuzz_rpc := proto/rpc.c
FUZZ_fuzz_vring := front/vring.c front/guest_memory.c common/log.c
FUZZ_fuzz_fuse := tests/unit/fake_lanes.c $(FUSE)
FUZZERS := fuzz_fuse fuzz_rpc fuzz_vring

# Programs that drive the real daemon.
HARNESS_LIB := $(addprefix tests/harness/,vmm.c vmm_proc.c vmm_mem.c vmm_msg.c vmm_queue.c fuse_client.c \
	fuse_make.c fuse_ops.c fuse_ops_file.c fuse_beyond.c harness.c modes.c)
harness_srcs = $(HARNESS_LIB) $(sort $(wildcard tests/harness/$(1)_*.c)) $(HARNESS_$(1))
# It knows which options are refused by reading the table of them.
HARNESS_check_cli := $(OPTIONS)
# A host file system with faults.
HARNESS_check_mounts := tests/harness/hostfs.c
HARNESS_check_surface := tests/harness/hostfs.c
HARNESS_check_idle := tests/bench/usage.c
UNIT_TESTS := $(sort $(patsubst UNIT_%,%,$(filter UNIT_check_%,$(.VARIABLES))))
HARNESS_TESTS := check_cli check_seccomp check_syscalls check_fuse check_locks check_surface check_hostile check_idle check_lanes check_priv check_vhost check_restart check_modes check_xattr check_ids check_mounts

comma := ,
# name, folder, sources beside its own, flags of the linker
define test_program
$(B)/tests/$(1): $(call obj,tests/$(2)/$(1).c $(3))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$$(CC) $$(LDFLAGS_ALL) $(4) -o $$@ $$^ $$(LIBS_CHECK) $$(LIBS_PROC)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call test_program,$(t),unit,$(UNIT_$(t)))))
$(foreach t,$(HARNESS_TESTS),$(eval $(call test_program,$(t),harness,$(call harness_srcs,$(t)),-Wl$(comma)--wrap=_ck_assert_failed)))

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
$(B)/tests/mdoc-options: $(call obj,man/mdoc-options.c $(addprefix monitor/,options_compat.c options_set.c options_table.c idmap_parse.c \
	xattrmap_parse.c))
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

.PHONY: man
man: $(B)/tests/mdoc-options
	VIRTIOFSD=$(B)/virtiofsd tests/man-options --write

.PHONY: unit-tests harness-tests
unit-tests: crash-worker $(B)/tests/mdoc-options
unit-tests: $(UNIT_TESTS:%=$(B)/tests/%)
harness-tests: $(HARNESS_TESTS:%=$(B)/tests/%) $(B)/tests/liar $(B)/tests/deny crash-build

# For check_restart: a hostile worker, and a daemon whose worker dies where a file in the share says.
$(B)/tests/liar: $(call obj,tests/harness/liar.c common/msg.c proto/rpc.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

# A container whose seccomp profile forbids this and that.
$(B)/tests/deny: $(call obj,tests/harness/deny.c)
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_PROC)

.PHONY: crash-build
crash-build: crash-worker
	$(MAKE) B=$(B)/crash CPPFLAGS="$(CPPFLAGS) -DCRASH_POINTS" all

# What the tests need is installed before anything is built, so the rest is another make.
.PHONY: check check-built check-asan check-tsan check-long check-model demo
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

# The same with ThreadSanitizer, which makes them many times slower. Besides: a daemon's CPU and descriptors are not those
# of an ordinary build.
TSAN_LEAVE_OUT := $(ASAN_LEAVE_OUT) check_idle check_inside check_modes
check-tsan:
	$(MAKE) B=$(B)/tsan SAN=thread all unit-tests harness-tests
	TSAN_OPTIONS=atexit_sleep_ms=0 CK_TIMEOUT_MULTIPLIER=10 WORKER_EXE=$(abspath $(B))/tsan/virtiofsd-worker WORKER_SECCOMP_NONE=1 \
	    VIRTIOFSD="$(abspath $(B))/tsan/virtiofsd --seccomp=none" UNIT_TESTS="$(filter-out $(TSAN_LEAVE_OUT),$(UNIT_TESTS)) $(FUZZERS)" \
	    HARNESS_TESTS="$(filter-out $(TSAN_LEAVE_OUT),$(HARNESS_TESTS))" tests/check $(B)/tsan unit harness

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
SCRIPTS = $(shell grep -rlE '^\#!/bin/(ba)?sh' .ci man tests debian 2>/dev/null)
.PHONY: lint
lint: $(B)/virtiofsd-rpc.7
	clang-format --dry-run -Werror $(SOURCES)
	cppcheck --quiet --error-exitcode=1 --enable=warning,portability,performance --inline-suppr --std=c11 \
	    --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches -I. -D_GNU_SOURCE -DVERSION='"0"' \
	    common proto front worker monitor
	shellcheck $(SCRIPTS)
	mandoc -Tlint -W warning man/*.[1-8] $(B)/virtiofsd-rpc.7

include tests/bench/bench.mk
