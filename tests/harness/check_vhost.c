/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * check_vhost - the daemon as a vhost-user back end: messages, memory, rings, and the session's
 * end.
 *
 * usage: check_vhost (as root; VIRTIOFSD names the daemon; CK_RUN_CASE selects a group)
 */
#include "check_vhost.h"

void
vhost_start(enum vmm_stage stage, const char *const *args)
{
	struct vmm_opts opts = { .args = args, .stage = stage };

	h_start_opts(&opts, stage == VMM_RUNNING);
}

void
vhost_expect_refused(uint32_t request, const void *payload, uint32_t size, const int *fds,
    unsigned int nr_fds)
{
	ck_assert(hv->reply_ack);
	FAILS(EREMOTEIO, vmm_msg_set(hv, request, payload, size, fds, nr_fds));
	ck_assert(vmm_is_closed(hv, VMM_TIMEOUT_MS));
	h_expect_ended(0);
}

void
vhost_expect_end(const struct vu_header *h, const void *payload, const int *fds,
    unsigned int nr_fds)
{
	struct vu_header answer;
	uint64_t value;
	int err;

	err = vmm_msg_send(hv, h, payload, fds, nr_fds);
	ck_assert_msg(err == 0 || err == -ECONNRESET, "request %u: send: %d", h->request, err);
	err = vmm_msg_recv(hv, &answer, &value, sizeof(value), VMM_TIMEOUT_MS);
	if (err == 0) {
		ck_assert_uint_eq(answer.request, h->request);
		ck_assert_uint_eq(value, 1);
		err = vmm_msg_recv(hv, &answer, &value, sizeof(value), VMM_TIMEOUT_MS);
	}
	ck_assert_msg(err == -ECONNRESET, "request %u flags %x: %d, not the end", h->request,
	    h->flags, err);
	h_expect_ended(0);
}

int
main(void)
{
	Suite *s = suite_create("vhost");

	suite_add_tcase(s, check_vhost_msg());
	suite_add_tcase(s, check_vhost_config());
	suite_add_tcase(s, check_vhost_mem());
	suite_add_tcase(s, check_vhost_ring());
	suite_add_tcase(s, check_vhost_life());
	return h_main(s, 600);
}
