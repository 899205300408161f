/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm_msg - the vhost-user messages of a front end, raw and in QEMU's order.
 *
 * Runs in: the test programs. Replies come from the daemon and are checked for header, size, time.
 */
#include "vmm.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int
vmm_msg_send(struct vmm *v, const struct vu_header *h, const void *payload, const int *fds,
    unsigned int nr_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int) * 64)];
	} control;
	struct iovec iov[2];
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	struct vu_header copy = *h;
	size_t payload_len = payload != NULL ? h->size : 0;
	ssize_t n;

	iov[0].iov_base = &copy;
	iov[0].iov_len = sizeof(copy);
	if (payload_len > 0) {
		iov[1].iov_base = (void *)(uintptr_t)payload;
		iov[1].iov_len = payload_len;
		msg.msg_iovlen = 2;
	}
	if (nr_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nr_fds);
	}
	n = sendmsg(v->sock, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return (size_t)n == sizeof(copy) + payload_len ? 0 : -EIO;
}

static void
close_passed(struct msghdr *msg)
{
	struct cmsghdr *c;
	int fd;
	size_t i, n;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
		}
	}
}

/* Read exactly len bytes before the deadline. */
static int
recv_all(struct vmm *v, void *buf, size_t len, long deadline)
{
	char control[CMSG_SPACE(sizeof(int) * 32)];
	struct iovec iov;
	struct msghdr msg;
	struct pollfd p = { .fd = v->sock, .events = POLLIN };
	size_t done = 0;
	long left;
	ssize_t n;

	while (done < len) {
		left = deadline - vmm_now_ms();
		if (left < 0)
			left = 0;
		n = poll(&p, 1, (int)left);
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		iov.iov_base = (char *)buf + done;
		iov.iov_len = len - done;
		memset(&msg, 0, sizeof(msg));
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		n = recvmsg(v->sock, &msg, MSG_CMSG_CLOEXEC);
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ECONNRESET;
		close_passed(&msg);
		done += (size_t)n;
	}
	return 0;
}

int
vmm_msg_recv(struct vmm *v, struct vu_header *h, void *payload, size_t cap, int timeout_ms)
{
	long deadline = vmm_now_ms() + timeout_ms;
	int err;

	err = recv_all(v, h, sizeof(*h), deadline);
	if (err < 0)
		return err;
	if (h->flags != (VU_VERSION | VU_REPLY) || h->size > cap)
		return -EPROTO;
	return recv_all(v, payload, h->size, deadline);
}

int
vmm_msg_ask(struct vmm *v, uint32_t request, const void *payload, uint32_t size, void *reply,
    uint32_t reply_size)
{
	struct vu_header h = { request, VU_VERSION, size };
	int err;

	err = vmm_msg_send(v, &h, payload, NULL, 0);
	if (err < 0)
		return err;
	err = vmm_msg_recv(v, &h, reply, reply_size, VMM_TIMEOUT_MS);
	if (err < 0)
		return err;
	return h.request == request && h.size == reply_size ? 0 : -EPROTO;
}

int
vmm_msg_get_u64(struct vmm *v, uint32_t request, uint64_t *value)
{
	return vmm_msg_ask(v, request, NULL, 0, value, sizeof(*value));
}

int
vmm_msg_set(struct vmm *v, uint32_t request, const void *payload, uint32_t size, const int *fds,
    unsigned int nr_fds)
{
	struct vu_header h = { request, VU_VERSION, size };
	uint64_t answer;
	int err;

	if (v->reply_ack)
		h.flags |= VU_NEED_REPLY;
	err = vmm_msg_send(v, &h, payload, fds, nr_fds);
	if (err < 0)
		return err;
	if (!v->reply_ack)
		return vmm_msg_get_u64(v, VU_GET_FEATURES, &answer);
	err = vmm_msg_recv(v, &h, &answer, sizeof(answer), VMM_TIMEOUT_MS);
	if (err < 0)
		return err;
	if (h.request != request || h.size != sizeof(answer))
		return -EPROTO;
	return answer == 0 ? 0 : -EREMOTEIO;
}

int
vmm_msg_set_u64(struct vmm *v, uint32_t request, uint64_t value)
{
	return vmm_msg_set(v, request, &value, sizeof(value), NULL, 0);
}

int
vmm_msg_set_state(struct vmm *v, uint32_t request, uint32_t index, uint32_t num)
{
	struct vu_state s = { index, num };

	return vmm_msg_set(v, request, &s, sizeof(s), NULL, 0);
}

int
vmm_msg_set_fd(struct vmm *v, uint32_t request, unsigned int index, int fd)
{
	uint64_t value = index;

	if (fd < 0)
		return vmm_msg_set_u64(v, request, value | VU_NOFD);
	return vmm_msg_set(v, request, &value, sizeof(value), &fd, 1);
}

int
vmm_msg_get_base(struct vmm *v, unsigned int index, uint32_t *base)
{
	struct vu_state s = { index, 0 };
	int err;

	err = vmm_msg_ask(v, VU_GET_VRING_BASE, &s, sizeof(s), &s, sizeof(s));
	if (err < 0)
		return err;
	*base = s.num;
	return s.index == index ? 0 : -EPROTO;
}

bool
vmm_is_closed(struct vmm *v, int timeout_ms)
{
	struct pollfd p = { .fd = v->sock, .events = POLLIN };
	long deadline = vmm_now_ms() + timeout_ms;
	long left;
	char byte[64];
	ssize_t n;

	for (;;) {
		left = deadline - vmm_now_ms();
		if (poll(&p, 1, left > 0 ? (int)left : 0) == 0)
			return false;
		n = recv(v->sock, byte, sizeof(byte), 0);
		if (n == 0 || (n < 0 && errno != EINTR))
			return true;
	}
}

int
vmm_negotiate(struct vmm *v)
{
	uint64_t slots;
	int pair[2], err;
	uint64_t want = VU_P_MQ | VU_P_REPLY_ACK | VU_P_BACKEND_REQ | VU_P_CONFIG | VU_P_SEND_FD |
	    VU_P_RESET_DEVICE | VU_P_MEM_SLOTS;

	if (v->opts.no_reply_ack)
		want &= ~VU_P_REPLY_ACK;
	if (v->opts.mem_table)
		want &= ~VU_P_MEM_SLOTS;
	if ((err = vmm_msg_get_u64(v, VU_GET_FEATURES, &v->features)) < 0)
		return err;
	if ((err = vmm_msg_get_u64(v, VU_GET_PROTOCOL_FEATURES, &v->proto)) < 0)
		return err;
	v->proto_acked = v->proto & want;
	/* Acknowledgements start with the message after this one. */
	if ((err = vmm_msg_set_u64(v, VU_SET_PROTOCOL_FEATURES, v->proto_acked)) < 0)
		return err;
	v->reply_ack = (v->proto_acked & VU_P_REPLY_ACK) != 0;
	if ((err = vmm_msg_get_u64(v, VU_GET_QUEUE_NUM, &v->queue_num)) < 0)
		return err;
	if ((v->proto_acked & VU_P_MEM_SLOTS) != 0 &&
	    (err = vmm_msg_get_u64(v, VU_GET_MAX_MEM_SLOTS, &slots)) < 0)
		return err;
	if ((v->proto_acked & VU_P_BACKEND_REQ) != 0) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return -errno;
		v->backend_fd = pair[0];
		err = vmm_msg_set(v, VU_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
		close(pair[1]);
		if (err < 0)
			return err;
	}
	if ((err = vmm_msg_set(v, VU_SET_OWNER, NULL, 0, NULL, 0)) < 0)
		return err;
	if ((err = vmm_msg_get_u64(v, VU_GET_FEATURES, &v->features)) < 0)
		return err;
	if (v->nr_queues > v->queue_num)
		v->nr_queues = (unsigned int)v->queue_num;
	return 0;
}

int
vmm_set_features(struct vmm *v)
{
	v->acked = v->features & (VIRTIO_F_VERSION1 | VU_F_PROTOCOL | VIRTIO_F_EVENT_IDX |
	    VIRTIO_F_INDIRECT);
	if (v->opts.no_event_idx)
		v->acked &= ~VIRTIO_F_EVENT_IDX;
	if (v->opts.no_indirect)
		v->acked &= ~VIRTIO_F_INDIRECT;
	return vmm_msg_set_u64(v, VU_SET_FEATURES, v->acked);
}

int
vmm_add_region(struct vmm *v, unsigned int region)
{
	struct vu_one_region one = { 0, v->region[region] };

	return vmm_msg_set(v, VU_ADD_MEM_REG, &one, sizeof(one), &v->mem_fd, 1);
}

int
vmm_rem_region(struct vmm *v, unsigned int region)
{
	struct vu_one_region one = { 0, v->region[region] };

	return vmm_msg_set(v, VU_REM_MEM_REG, &one, sizeof(one), NULL, 0);
}

int
vmm_set_memory(struct vmm *v)
{
	struct {
		uint32_t num;
		uint32_t padding;
		struct vu_region reg[VMM_MAX_REGIONS];
	} table = { v->nr_regions, 0, { { 0 } } };
	int fds[VMM_MAX_REGIONS], err;
	unsigned int i;

	if ((v->proto_acked & VU_P_MEM_SLOTS) != 0) {
		for (i = 0; i < v->nr_regions; i++) {
			err = vmm_add_region(v, i);
			if (err < 0)
				return err;
		}
		return 0;
	}
	for (i = 0; i < v->nr_regions; i++) {
		table.reg[i] = v->region[i];
		fds[i] = v->mem_fd;
	}
	return vmm_msg_set(v, VU_SET_MEM_TABLE, &table,
	    (uint32_t)(8 + v->nr_regions * sizeof(struct vu_region)), fds, v->nr_regions);
}
