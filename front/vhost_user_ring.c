/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages about one ring. A ring runs while its addresses, its size and a kick fd are known and it is
 * enabled; each message that changes one of these stops it, applies the change and starts it again if it still can run.
 * Stopping waits for everything taken from the ring, so that what GET_VRING_BASE answers is the whole truth.
 *
 * The guest's driver chose size and place of the rings: a ring that cannot run is no fault of the VMM and is only logged.
 * Runs in: front (control thread). The VMM wrote what is in the messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/vhost_user_session.h"

void
vu_ring_try_start(struct vu_session *s, unsigned q)
{
	static struct log_limit limit;
	const struct vu_ring *r = &s->ring[q];
	int rc;

	if (device_running(s->dev, q) || !r->enabled || !r->has_addr || r->kick_fd == -1 ||
	    s->dev->ring[q]->num == 0)
		return;
	rc = device_start(s->dev, q, r->kick_fd);
	if (rc == 0 || !log_limit(&limit))
		return;
	if (rc == -EFAULT)
		log_warn("virtqueue %u waits for its memory", q);
	else
		log_error("virtqueue %u cannot be started: error %d", q, -rc);
}

void
vu_rings_stop(struct vu_session *s)
{
	for (unsigned q = 0; q < NQUEUES; q++)
		device_stop(s->dev, q);
}

void
vu_rings_try_start(struct vu_session *s)
{
	for (unsigned q = 0; q < NQUEUES; q++)
		vu_ring_try_start(s, q);
}

int
vu_set_vring_num(struct vu_session *s, struct vu_msg *m)
{
	static struct log_limit limit;
	const uint32_t q = m->p.state.index, num = m->p.state.num;

	if (q >= NQUEUES || num == 0 || num > VRING_SIZE_MAX)
		return -EINVAL;
	if ((num & (num - 1)) != 0) {
		if (log_limit(&limit))
			log_error(
			    "virtqueue %u: %u entries are not a power of two, ignored", q, num);
		return 0;
	}
	device_stop(s->dev, q);
	s->dev->ring[q]->num = num;
	vu_ring_try_start(s, q);
	return 0;
}

/* The whole areas are resolved when the ring starts: here the size may not be known yet. */
int
vu_set_vring_addr(struct vu_session *s, struct vu_msg *m)
{
	const struct vu_vring_addr *a = &m->p.addr;
	const struct guest_memory *mem = &s->dev->memory;
	struct vring *v;

	if ((a->flags & ~VU_VRING_ADDR_LOG) != 0 || a->desc % 16 != 0 || a->avail % 2 != 0 ||
	    a->used % 4 != 0)
		return -EPROTO;
	if (a->index >= NQUEUES)
		return -EINVAL;
	if (memory_at_uaddr(mem, a->desc, 16) == NULL ||
	    memory_at_uaddr(mem, a->avail, 4) == NULL || memory_at_uaddr(mem, a->used, 4) == NULL)
		return -EFAULT;
	device_stop(s->dev, a->index);
	v = s->dev->ring[a->index];
	v->desc_uaddr = a->desc;
	v->avail_uaddr = a->avail;
	v->used_uaddr = a->used;
	s->ring[a->index].has_addr = true;
	vu_ring_try_start(s, a->index);
	return 0;
}

int
vu_set_vring_base(struct vu_session *s, struct vu_msg *m)
{
	const uint32_t q = m->p.state.index;

	if (q >= NQUEUES || m->p.state.num > UINT16_MAX)
		return -EINVAL;
	device_stop(s->dev, q);
	s->dev->ring[q]->next_avail = (uint16_t)m->p.state.num;
	vu_ring_try_start(s, q);
	return 0;
}

int
vu_get_vring_base(struct vu_session *s, struct vu_msg *m)
{
	const uint32_t q = m->p.state.index;

	if (q >= NQUEUES)
		return -EINVAL;
	device_stop(s->dev, q);
	fd_close(&s->ring[q].kick_fd);
	device_set_call(s->dev, q, -1);
	m->p.state.num = s->dev->ring[q]->next_avail;
	return 0;
}

/*
 * Decode the u64 of KICK, CALL and ERR: the ring, and the fd or -1. The fd is the caller's, non-blocking, and something
 * that can be polled: eventfd, pipe, socket.
 */
static int
ring_fd(struct vu_msg *m, unsigned *q, int *fd)
{
	const bool nofd = (m->p.u64 & VU_VRING_NOFD) != 0;
	struct stat st;
	int flags;

	*fd = -1;
	*q = (unsigned)(m->p.u64 & VU_VRING_INDEX_MASK);
	if (m->nfds != (nofd ? 0 : 1))
		return -EPROTO;
	if (*q >= NQUEUES)
		return -EINVAL;
	if (nofd)
		return 0;
	if (fstat(m->fds[0], &st) == -1)
		return -errno;
	if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) || S_ISBLK(st.st_mode))
		return -EINVAL;
	flags = fcntl(m->fds[0], F_GETFL);
	if (flags == -1 || fcntl(m->fds[0], F_SETFL, flags | O_NONBLOCK) == -1)
		return -errno;
	*fd = fd_take(&m->fds[0]);
	return 0;
}

int
vu_set_vring_kick(struct vu_session *s, struct vu_msg *m)
{
	unsigned q;
	int fd, rc;

	rc = ring_fd(m, &q, &fd);
	if (rc != 0)
		return rc;
	device_stop(s->dev, q);
	fd_close(&s->ring[q].kick_fd);
	s->ring[q].kick_fd = fd;
	vu_ring_try_start(s, q);
	return 0;
}

int
vu_set_vring_call(struct vu_session *s, struct vu_msg *m)
{
	unsigned q;
	int fd, rc;

	rc = ring_fd(m, &q, &fd);
	if (rc != 0)
		return rc;
	device_set_call(s->dev, q, fd);
	return 0;
}

/* Nothing is ever reported over it. */
int
vu_set_vring_err(struct vu_session *s, struct vu_msg *m)
{
	unsigned q;
	int fd, rc;

	(void)s;
	rc = ring_fd(m, &q, &fd);
	fd_close(&fd);
	return rc;
}

int
vu_set_vring_enable(struct vu_session *s, struct vu_msg *m)
{
	const uint32_t q = m->p.state.index;

	if (m->p.state.num > 1 || (s->features & VU_FEAT_PROTOCOL_FEATURES) == 0)
		return -EPROTO;
	if (q >= NQUEUES)
		return -EINVAL;
	s->ring[q].enabled = m->p.state.num == 1;
	if (s->ring[q].enabled)
		vu_ring_try_start(s, q);
	else
		device_stop(s->dev, q);
	return 0;
}
