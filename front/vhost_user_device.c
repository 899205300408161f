/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages about the device as a whole: features, owner, guest memory, config space, reset.
 * Runs in: front (control thread). The VMM wrote what is in the messages.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "common/fd.h"
#include "common/log.h"
#include "front/vhost_user_session.h"

static int
reply_u64(struct vu_msg *m, uint64_t v)
{
	m->p.u64 = v;
	m->h.size = sizeof(v);
	return 0;
}

int
vu_get_features(struct vu_session *s, struct vu_msg *m)
{
	s->features_asked = true;
	return reply_u64(m, VU_FEATURES);
}

int
vu_set_features(struct vu_session *s, struct vu_msg *m)
{
	const bool event_idx = (m->p.u64 & VU_FEAT_EVENT_IDX) != 0;
	bool change = false;

	if ((m->p.u64 & ~VU_FEATURES) != 0)
		return -EINVAL;
	s->features = m->p.u64;
	for (unsigned q = 0; q < NQUEUES; q++)
		change = change || s->dev->ring[q]->event_idx != event_idx;
	if (change) {
		vu_rings_stop(s);
		for (unsigned q = 0; q < NQUEUES; q++)
			s->dev->ring[q]->event_idx = event_idx;
		vu_rings_try_start(s);
	}
	/* A VMM that does not know SET_VRING_ENABLE expects its rings to be enabled. */
	if ((s->features & VU_FEAT_PROTOCOL_FEATURES) == 0) {
		for (unsigned q = 0; q < NQUEUES; q++)
			s->ring[q].enabled = true;
		vu_rings_try_start(s);
	}
	return 0;
}

uint64_t
vu_protocol_features(const struct vu_session *s)
{
	return VU_PROTO_MQ | VU_PROTO_REPLY_ACK | VU_PROTO_BACKEND_REQ | VU_PROTO_BACKEND_SEND_FD |
	    VU_PROTO_RESET_DEVICE | VU_PROTO_CONFIGURE_MEM_SLOTS |
	    (s->dev->has_tag ? VU_PROTO_CONFIG : 0);
}

int
vu_get_protocol_features(struct vu_session *s, struct vu_msg *m)
{
	return reply_u64(m, vu_protocol_features(s));
}

/* Bits we did not offer are no error, as in virtiofsd; they switch nothing on. */
int
vu_set_protocol_features(struct vu_session *s, struct vu_msg *m)
{
	s->protocol = m->p.u64 & vu_protocol_features(s);
	return 0;
}

int
vu_set_owner(struct vu_session *s, struct vu_msg *m)
{
	(void)m;
	if (s->owned)
		return -EBUSY;
	s->owned = true;
	return 0;
}

int
vu_reset_owner(struct vu_session *s, struct vu_msg *m)
{
	(void)m;
	s->owned = false;
	s->features = 0;
	return 0;
}

int
vu_get_queue_num(struct vu_session *s, struct vu_msg *m)
{
	(void)s;
	return reply_u64(m, NQUEUES);
}

/* We never send requests of our own, but the VMM may take the end of the channel for ours: it stays open. */
int
vu_set_backend_req_fd(struct vu_session *s, struct vu_msg *m)
{
	fd_close(&s->backend_fd);
	s->backend_fd = fd_take(&m->fds[0]);
	return 0;
}

static int
check_config(const struct vu_msg *m)
{
	const struct vu_config *c = &m->p.config;

	if (c->size == 0 || c->size != m->h.size - VU_CONFIG_HDR ||
	    c->offset > VU_CONFIG_SPACE_MAX - c->size || (c->flags & ~VU_CONFIG_FLAGS) != 0)
		return -EPROTO;
	return 0;
}

/* struct virtio_fs_config, then zeros for as long as the VMM asks. */
int
vu_get_config(struct vu_session *s, struct vu_msg *m)
{
	const uint32_t queues = htole32(REQUEST_QUEUES_MAX);
	uint8_t space[VU_CONFIG_SPACE_MAX] = { 0 };

	if (check_config(m) != 0)
		return -EPROTO;
	memcpy(space, s->dev->tag, TAG_MAX);
	memcpy(space + TAG_MAX, &queues, sizeof(queues));
	memcpy(m->p.config.data, space + m->p.config.offset, m->p.config.size);
	return 0;
}

/* Nothing in the config space can be written; acknowledged and ignored, as virtiofsd does. */
int
vu_set_config(struct vu_session *s, struct vu_msg *m)
{
	(void)s;
	return check_config(m);
}

/* What was negotiated on this connection, and the memory, survive: VMMs do not send them again. */
int
vu_reset_device(struct vu_session *s, struct vu_msg *m)
{
	(void)m;
	vu_rings_stop(s);
	for (unsigned q = 0; q < NQUEUES; q++)
		s->ring[q].enabled = false;
	/* SET_VRING_ENABLE belongs to the connection, so it stays allowed. */
	s->features &= VU_FEAT_PROTOCOL_FEATURES;
	device_reset(s->dev);
	return 0;
}

int
vu_get_max_mem_slots(struct vu_session *s, struct vu_msg *m)
{
	(void)s;
	return reply_u64(m, MEMORY_REGIONS_MAX);
}

static int
add_region(struct vu_session *s, const struct vu_region *r, int fd)
{
	return memory_add(&s->dev->memory, r->gpa, r->size, r->uaddr, fd, r->offset);
}

/* The payload may be longer than its regions: UML 6.1 always sends room for two. */
int
vu_set_mem_table(struct vu_session *s, struct vu_msg *m)
{
	const struct vu_mem_table *t = &m->p.mem;
	int rc = 0;

	if (t->pad != 0 || t->num == 0 || t->num > VU_REGIONS_MAX || t->num != m->nfds ||
	    m->h.size < offsetof(struct vu_mem_table, region) + t->num * sizeof(t->region[0]))
		return -EPROTO;
	vu_rings_stop(s);
	memory_clear(&s->dev->memory);
	for (unsigned i = 0; i < t->num && rc == 0; i++)
		rc = add_region(s, &t->region[i], m->fds[i]);
	if (rc == 0)
		vu_rings_try_start(s);
	return rc;
}

/* QEMU removes regions that changed, then adds them again, and takes for granted that their rings go on. */
int
vu_add_mem_reg(struct vu_session *s, struct vu_msg *m)
{
	int rc;

	device_pause(s->dev);
	rc = add_region(s, &m->p.reg.region, m->fds[0]);
	device_resume(s->dev);
	if (rc == 0)
		vu_rings_try_start(s);
	return rc;
}

int
vu_rem_mem_reg(struct vu_session *s, struct vu_msg *m)
{
	const struct vu_region *r = &m->p.reg.region;
	int rc;

	vu_rings_stop(s);
	rc = memory_remove(&s->dev->memory, r->gpa, r->size);
	if (rc == 0)
		vu_rings_try_start(s);
	return rc;
}
