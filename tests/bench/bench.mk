# SPDX-License-Identifier: BSD-3-Clause
#
# A load generator for virtio-fs daemons: ours and, where tests/bench/peers has made them, others.

BENCH_LIB := $(addprefix tests/harness/,vmm.c vmm_proc.c vmm_mem.c vmm_msg.c vmm_queue.c fuse_client.c fuse_ops.c \
	fuse_ops_file.c) $(sort $(wildcard tests/bench/*.c))
$(B)/tests/bench: $(call obj,$(BENCH_LIB))
	@mkdir -p $(@D)
	@echo "  LD    $@"
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

.PHONY: bench
bench: all $(B)/tests/bench
	B=$(B) tests/bench/run --json $(B)/bench.json $(BENCH)

SCRIPTS += tests/bench/guest tests/bench/peers tests/bench/run

.PHONY: bench-guest
bench-guest: all
	VIRTIOFSD=$(abspath $(B))/virtiofsd JSON=$(B)/bench-guest.json tests/bench/guest $(BENCH)
