/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/mailbox.c: what is put is taken, once, in order and whole; nothing is lost when the receiver falls asleep at
 * any moment; a sender that lies is refused. Runs in: the test program.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mailbox.h"

#define MESSAGES 200000u

static struct mailbox *box;
static struct mailbox_end front, worker;
static uint8_t msg[MAILBOX_SLOT_MAX + 8], buf[RPC_MSG_MAX];

static void
setup(void)
{
	box = mmap(NULL, MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(box, MAP_FAILED);
	mailbox_init(&front, box, true);
	mailbox_init(&worker, box, false);
	for (size_t i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)(i * 7);
}

static void
teardown(void)
{
	munmap(box, MAILBOX_SIZE);
}

START_TEST(asleep_at_first)
{
	ck_assert_int_eq(mailbox_put(&front, msg, 40), -EAGAIN);
	ck_assert_int_eq(mailbox_put(&worker, msg, 40), -EAGAIN);
	ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(there_and_back)
{
	mailbox_wake(&worker);
	for (size_t len = 1; len <= MAILBOX_SLOT_MAX; len += 97) {
		ck_assert(!mailbox_has(&worker));
		ck_assert_int_eq(mailbox_put(&front, msg, len), 0);
		ck_assert(mailbox_has(&worker));
		ck_assert(!mailbox_has(&front));
		ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), (ssize_t)len);
		ck_assert_int_eq(memcmp(buf, msg, len), 0);
		ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), 0);
	}
}
END_TEST

START_TEST(full_or_too_long)
{
	mailbox_wake(&worker);
	ck_assert_int_eq(mailbox_put(&front, msg, MAILBOX_SLOT_MAX + 1), -EAGAIN);
	ck_assert_int_eq(mailbox_put(&front, msg, 0), -EAGAIN);
	for (uint8_t i = 0; i < MAILBOX_SLOTS; i++)
		ck_assert_int_eq(mailbox_put(&front, &i, 1), 0);
	ck_assert_int_eq(mailbox_put(&front, msg, 1), -EAGAIN);
	for (uint8_t i = 0; i < MAILBOX_SLOTS; i++) {
		ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), 1);
		ck_assert_uint_eq(buf[0], i);
	}
	ck_assert_int_eq(mailbox_put(&front, msg, 1), 0);
}
END_TEST

START_TEST(sleep_sees_what_came)
{
	mailbox_wake(&worker);
	ck_assert_int_eq(mailbox_put(&front, msg, 8), 0);
	ck_assert(!mailbox_sleep(&worker));
	/* It is awake still, and the sender sees that. */
	ck_assert_int_eq(mailbox_put(&front, msg, 9), 0);
	ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), 8);
	ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), 9);
	mailbox_letter(&front);
	ck_assert(mailbox_has_letter(&worker));
	ck_assert(!mailbox_sleep(&worker));
	mailbox_seen(&worker, false);
	ck_assert(!mailbox_has_letter(&worker));
	ck_assert(mailbox_sleep(&worker));
	ck_assert_int_eq(mailbox_put(&front, msg, 8), -EAGAIN);
	/* Taken before it was counted, counted in vain: neither counts as news. */
	mailbox_seen(&worker, false);
	ck_assert(!mailbox_has_letter(&worker));
	mailbox_letter(&front);
	ck_assert(!mailbox_has_letter(&worker));
	mailbox_letter(&front);
	ck_assert(mailbox_has_letter(&worker));
	mailbox_seen(&worker, true);
	ck_assert(!mailbox_has_letter(&worker));
	/* The socket had nothing: however many were counted, they were taken before. */
	for (int i = 0; i < 3; i++)
		mailbox_letter(&front);
	mailbox_seen(&worker, true);
	ck_assert(!mailbox_has_letter(&worker));
}
END_TEST

START_TEST(reset)
{
	mailbox_wake(&worker);
	mailbox_wake(&front);
	ck_assert_int_eq(mailbox_put(&front, msg, 8), 0);
	ck_assert_int_eq(mailbox_put(&worker, msg, 8), 0);
	mailbox_letter(&worker);
	mailbox_reset(&front);
	mailbox_init(&worker, box, false);
	ck_assert(!mailbox_has(&front) && !mailbox_has_letter(&front));
	ck_assert(!mailbox_has(&worker));
	ck_assert_int_eq(mailbox_put(&front, msg, 8), -EAGAIN);
	ck_assert_int_eq(mailbox_put(&worker, msg, 8), -EAGAIN);
	/* Both ends begin anew, with what is put and with what is counted. */
	mailbox_wake(&worker);
	mailbox_wake(&front);
	for (size_t i = 1; i <= 2 * MAILBOX_SLOTS; i++) {
		ck_assert_int_eq(mailbox_put(&front, msg + i, i), 0);
		ck_assert_int_eq(mailbox_take(&worker, buf, sizeof(buf)), (ssize_t)i);
		ck_assert_mem_eq(buf, msg + i, i);
		ck_assert_int_eq(mailbox_put(&worker, msg + i, i), 0);
		ck_assert_int_eq(mailbox_take(&front, buf, sizeof(buf)), (ssize_t)i);
	}
	mailbox_letter(&worker);
	ck_assert(mailbox_has_letter(&front));
}
END_TEST

/* What the worker has received, in slots or not, and what it has not; a new worker has received nothing. */
START_TEST(heard)
{
	ck_assert(!mailbox_heard(&front, 1));
	mailbox_hear(&worker);
	mailbox_hear(&worker);
	ck_assert(mailbox_heard(&front, 1) && mailbox_heard(&front, 2) && !mailbox_heard(&front, 3));
	box->to_worker.heard = UINT32_MAX;
	ck_assert(!mailbox_heard(&front, 1) && mailbox_heard(&front, UINT32_MAX) && !mailbox_heard(&front, 0));
	mailbox_reset(&front);
	ck_assert(!mailbox_heard(&front, 1));
	mailbox_init(&worker, box, false);
	mailbox_hear(&worker);
	ck_assert(mailbox_heard(&front, 1));
	mailbox_reset(&front);
	ck_assert(!mailbox_heard(&front, 1));
	/* Without a mailbox nobody knows: it counts as heard. */
	mailbox_init(&front, NULL, true);
	ck_assert(mailbox_heard(&front, 1));
}
END_TEST

/* Whatever the sender writes: the receiver takes what it can use, or refuses. */
START_TEST(liar)
{
	struct mailbox_half *h = &box->to_front;
	const uint32_t lens[] = { 0, MAILBOX_SLOT_MAX + 1, UINT32_MAX, 1u << 31 };

	for (uint32_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		h->sent = 1;
		h->slot[0].len = lens[i];
		ck_assert_int_eq(mailbox_take(&front, buf, sizeof(buf)), -EPROTO);
	}
	h->slot[0].len = 8;
	h->sent = MAILBOX_SLOTS + 1;
	ck_assert_int_eq(mailbox_take(&front, buf, sizeof(buf)), -EPROTO);
	h->sent = UINT32_MAX;
	ck_assert_int_eq(mailbox_take(&front, buf, sizeof(buf)), -EPROTO);
	h->sent = 1;
	ck_assert_int_eq(mailbox_take(&front, buf, 4), -EPROTO);
	ck_assert_int_eq(mailbox_take(&front, buf, sizeof(buf)), 8);
	/* As a receiver it can only make the sender use the socket, or overwrite what it has not taken. */
	box->to_worker.awake = 1;
	box->to_worker.taken = 77;
	ck_assert_int_eq(mailbox_put(&front, msg, 8), -EAGAIN);
	box->to_worker.taken = UINT32_MAX;
	ck_assert_int_eq(mailbox_put(&front, msg, 8), 0);
}
END_TEST

START_TEST(none)
{
	struct mailbox_end e;

	mailbox_init(&e, NULL, true);
	mailbox_wake(&e);
	mailbox_letter(&e);
	mailbox_seen(&e, false);
	mailbox_reset(&e);
	ck_assert_int_eq(mailbox_put(&e, msg, 8), -EAGAIN);
	ck_assert_int_eq(mailbox_take(&e, buf, sizeof(buf)), 0);
	ck_assert(mailbox_sleep(&e));
}
END_TEST

/* ---- two threads, and a receiver that falls asleep whenever it likes ---- */

static int sock[2];

static void *
sender(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct rpc_batch bell;
		uint32_t m[4] = { i, ~i, i * 3, 5 };
		int r = mailbox_put(&front, m, sizeof(m));

		if (r == 1) {
			mailbox_bell(&bell);
			ck_assert_int_eq(send(sock[0], &bell, sizeof(bell), 0), sizeof(bell));
		} else if (r == -EAGAIN) {
			ck_assert_int_eq(send(sock[0], m, sizeof(m), 0), sizeof(m));
			mailbox_letter(&front);
		}
		if (i % 64 == 0)
			sched_yield();
	}
	return NULL;
}

static uint8_t seen[MESSAGES];

static void
note(const uint32_t *m, ssize_t n)
{
	ck_assert_int_eq(n, 16);
	ck_assert(m[0] < MESSAGES && m[1] == ~m[0] && m[2] == m[0] * 3 && m[3] == 5);
	ck_assert_msg(seen[m[0]] == 0, "message %u twice", m[0]);
	seen[m[0]] = 1;
}

START_TEST(nothing_is_lost)
{
	static uint32_t m[RPC_MSG_MAX / 4];
	unsigned rng = 1, slept = 0, mail = 0;
	pthread_t t;
	ssize_t n;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sock), 0);
	ck_assert_int_eq(pthread_create(&t, NULL, sender, NULL), 0);
	for (uint32_t got = 0; got < MESSAGES;) {
		if ((n = mailbox_take(&worker, m, sizeof(m))) > 0) {
			note(m, n);
			got++;
			mail++;
			continue;
		}
		ck_assert_int_eq(n, 0);
		if (mailbox_has_letter(&worker)) {
			n = recv(sock[1], m, sizeof(m), MSG_DONTWAIT);
			if (n > 0 && mailbox_is_bell((size_t)n))
				continue;
			mailbox_seen(&worker, n < 0);
			if (n > 0) {
				note(m, n);
				got++;
			}
			continue;
		}
		rng = rng * 1103515245u + 12345u;
		if (rng >> 29 != 0 || !mailbox_sleep(&worker))
			continue;
		slept++;
		n = recv(sock[1], m, sizeof(m), 0);
		mailbox_wake(&worker);
		if (n > 0 && mailbox_is_bell((size_t)n))
			continue;
		mailbox_seen(&worker, false);
		note(m, n);
		got++;
	}
	pthread_join(t, NULL);
	ck_assert_uint_gt(slept, 0);
	ck_assert_uint_gt(mail, 0);
	close(sock[0]);
	close(sock[1]);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("mailbox");
	TCase *t = tcase_create("rules"), *race = tcase_create("race");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, asleep_at_first);
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, full_or_too_long);
	tcase_add_test(t, sleep_sees_what_came);
	tcase_add_test(t, reset);
	tcase_add_test(t, heard);
	tcase_add_test(t, liar);
	tcase_add_test(t, none);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(race, setup, teardown);
	tcase_add_test(race, nothing_is_lost);
	tcase_set_timeout(race, 60);
	suite_add_tcase(s, race);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
