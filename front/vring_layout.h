/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring as it lies in guest memory: the kernel's definitions, without its own "struct vring" (the name of ours) and
 * without its legacy helpers.
 */
#ifndef FRONT_VRING_LAYOUT_H
#define FRONT_VRING_LAYOUT_H

#define VIRTIO_RING_NO_LEGACY
#define vring linux_vring
#include <linux/virtio_ring.h>
#undef vring

#endif
