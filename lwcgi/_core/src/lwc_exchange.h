/* SPDX-License-Identifier: MIT */
/*
 * What a worker (an lwC) and its root say to each other: words that go along
 * with a switch, and bytes in the exchange, the one range of memory that both
 * see.
 *
 * The root takes everything a worker says for hostile input. Of the words only
 * the length of the bytes says where to look, and it is compared with the size
 * of the exchange; of the bytes none does. Threads of the worker may change
 * the bytes while the root reads them, so it never reads twice what it relies on.
 */
#ifndef LWCGI_LWC_EXCHANGE_H
#define LWCGI_LWC_EXCHANGE_H

enum { LWC_EXCHANGE = 32 * 1024 };

/* args[0] of a switch from the worker; args[1] is a length, args[2] said below. */
enum lwc_word {
    LWC_WORD_BLOCK = 1, /* more of the request's variables, from args[2] on */
    LWC_WORD_READ,      /* so many bytes of the body */
    LWC_WORD_WRITE,     /* bytes of the answer; args[2]: they are the last */
    LWC_WORD_LOG,       /* a line for the log; args[2]: its level */
    LWC_WORD_ABORT,     /* the answer cannot be completed */
    LWC_WORD_LEAVE,     /* the request is over: the worker is not entered again */
};

/* args[0] of a switch to the worker is the outcome: a count, 0, or -errno. When
 * it is entered for the first time, the words are these. */
enum { LWC_FIRST_LEN, LWC_FIRST_ROLE, LWC_FIRST_BODY, LWC_FIRST_NUMBER, LWC_FIRST_COUNT };

#endif
