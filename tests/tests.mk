# SPDX-License-Identifier: BSD-3-Clause
#
# Tests. Each unit test links only what it tests: that it links proves that the module needs nothing else.

UNIT_check_guest_memory := front/guest_memory.c
UNIT_check_vring := front/vring.c front/guest_memory.c common/log.c
VHOST_USER := tests/unit/vhost_user_peer.c front/vhost_user.c front/vhost_user_device.c front/vhost_user_ring.c \
	front/vring.c front/guest_memory.c common/log.c
UNIT_check_vhost_user := $(VHOST_USER)
UNIT_check_vhost_user_hostile := $(VHOST_USER)

UNIT_TESTS := $(sort $(patsubst UNIT_%,%,$(filter UNIT_check_%,$(.VARIABLES))))

define unit_test
$(B)/tests/$(1): $(call obj,tests/unit/$(1).c $(UNIT_$(1)))
	@mkdir -p $$(@D)
	@echo "  LD    $$@"
	$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(LIBS_CHECK) $$(LIBS_PROC)
endef
$(foreach t,$(UNIT_TESTS),$(eval $(call unit_test,$(t))))

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS:%=$(B)/tests/%)
