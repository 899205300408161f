# SPDX-License-Identifier: BSD-3-Clause
#
# Tests. Each unit test links only what it tests: that it links proves that the module needs nothing else.

VHOST_USER := tests/unit/vhost_user_peer.c front/vhost_user.c front/vhost_user_device.c front/vhost_user_ring.c \
	front/vring.c front/guest_memory.c common/log.c

UNIT_check_guest_memory := front/guest_memory.c
UNIT_check_vring := front/vring.c front/guest_memory.c common/log.c
UNIT_check_vhost_user := $(VHOST_USER)
UNIT_check_vhost_user_hostile := $(VHOST_USER)

# Programs that drive the real daemon.
HARNESS_LIB := $(addprefix tests/harness/,vmm.c vmm_proc.c vmm_mem.c vmm_msg.c vmm_queue.c fuse_client.c \
	fuse_ops.c fuse_ops_file.c harness.c)
harness_srcs = $(HARNESS_LIB) $(sort $(wildcard tests/harness/$(1)_*.c))
UNIT_TESTS := $(sort $(patsubst UNIT_%,%,$(filter UNIT_check_%,$(.VARIABLES))))
HARNESS_TESTS := check_fuse check_hostile check_priv check_vhost

# name, folder, sources beside its own
define test_program
$(B)/tests/$(1): $(call obj,tests/$(2)/$(1).c $(3))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS_CHECK) $$(LIBS_PROC)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call test_program,$(t),unit,$(UNIT_$(t)))))
$(foreach t,$(HARNESS_TESTS),$(eval $(call test_program,$(t),harness,$(call harness_srcs,$(t)))))

.PHONY: unit-tests harness-tests
unit-tests: $(UNIT_TESTS:%=$(B)/tests/%)
harness-tests: $(HARNESS_TESTS:%=$(B)/tests/%)
