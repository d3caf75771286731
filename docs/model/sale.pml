/* What the models of both hand-offs share: buyers who ask again, deadlines, the ledger and its rules,
 * and the promises, which are assertions. Bounds come from the command line (`-DCLIENTS=2` …).
 *
 * A buyer's purchase is its key; each request for it is an attempt, with a deadline of its own. One
 * event, one ticket an order.
 */

#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2 /* requests of one buyer, all under one key */
#endif
#ifndef TICKETS
#define TICKETS 1
#endif
#ifndef WEBS
#define WEBS 1
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef FAULTS
#define FAULTS 2 /* of whatever kind, at whatever step */
#endif

/* Outcomes (workers/domain.py). FRESH is a sale that a batch makes; buyers hear SOLD either way. */
#define NOTHING 0
#define SOLD 1
#define SOLD_OUT 2
#define TOO_LATE 3
#define UNREACHED 4
#define FRESH 5
#define LOST 6 /* the connection to the web process broke */

byte faults = FAULTS;

/* --- the ledger: the event's row, the journal, the orders --- */

byte sold;            /* the event's counter, written as a value */
byte journal;         /* entries, appended: a sale each, or a cancel */
byte cancelled;
byte orders[CLIENTS]; /* orders under a buyer's wish: there may be one */
byte under[CLIENTS];  /* by which attempts, as bits */
#define STANDING (journal - 2 * cancelled)

/* --- buyers --- */

byte posted[CLIENTS];  /* attempts made */
byte heard[CLIENTS];   /* the answer to the last of them */
byte at[CLIENTS];      /* the web process that has it */
byte refused[CLIENTS]; /* of attempts below, the buyer heard that they are not sold and never will be */

/* --- time --- */

byte late[CLIENTS]; /* attempts below are past their deadline */
byte gone[CLIENTS]; /* attempts below are past `expires_at` (service/desk.py), 3 s after it */

chan queue[WEBS] = [CLIENTS] of { byte, byte }; /* what waits in a web process: buyer, attempt */

/* Scratch of atomic steps, which leave it clean: it tells no states apart. (Not `hidden`: what is hidden
 * is not restored when the search turns back.)
 */
byte i, j, f, n, known, outcome;

inline clean() {
  i = 0; j = 0; f = 0; n = 0; known = 0; outcome = 0
}

#ifdef BUG_CLIENT_MINTS_A_KEY_EACH_TIME
#define HAS_ORDER(who, attempt) ((under[who] >> (attempt)) & 1)
#else
#define HAS_ORDER(who, attempt) (under[who] != 0)
#endif

#ifdef BUG_ONLY_THE_WEB_LOOKS_AT_DEADLINES
#define PAST_DEADLINE(who, attempt) false
#else
#define PAST_DEADLINE(who, attempt) ((attempt) < late[who])
#endif

/* rules.settle for one purchase. `seen`: the batch knows an order of its key; `stock`: tickets sold. */
#define SALE(stock) ((stock) < TICKETS -> FRESH : SOLD_OUT)
#ifdef BUG_KEY_IS_NOT_LOOKED_UP
#define DECIDE(who, attempt, seen, stock) \
  (PAST_DEADLINE(who, attempt) -> TOO_LATE : SALE(stock))
#elif defined(BUG_DEADLINE_BEFORE_THE_KEY)
#define DECIDE(who, attempt, seen, stock) \
  (PAST_DEADLINE(who, attempt) -> TOO_LATE : ((seen) -> SOLD : SALE(stock)))
#else
#define DECIDE(who, attempt, seen, stock) \
  ((seen) -> SOLD : (PAST_DEADLINE(who, attempt) -> TOO_LATE : SALE(stock)))
#endif

/* An order is written: what must hold of every sale. Call it in an atomic step. */
inline write_order(who, attempt) {
  orders[who]++;
  under[who] = under[who] | (1 << (attempt));
  journal++;
  assert(STANDING <= TICKETS);        /* never oversold */
  assert(orders[who] <= 1);           /* one order a key */
  assert((attempt) >= refused[who]);  /* who was refused for good is not sold later */
  assert((attempt) >= gone[who])      /* after `expires_at` nothing is sold */
}

/* A web process settles a receipt (courier._settle). Only the last attempt has somebody who listens. */
inline tell(who, attempt, word) {
  if
  :: (attempt) + 1 == posted[who] && heard[who] == NOTHING ->
     heard[who] = word;
     assert(word != SOLD || orders[who] > 0);     /* a confirmed sale is in the ledger */
     assert(word != SOLD_OUT || orders[who] == 0);
     assert(word != TOO_LATE || orders[who] == 0);
     if
     :: word == SOLD_OUT || word == TOO_LATE -> refused[who] = posted[who]
     :: else
     fi
  :: else
  fi
}

/* --- buyers --- */

#ifdef IMPATIENT
#define ASKS_AGAIN(me) true
#else
#define ASKS_AGAIN(me) (heard[me] == TOO_LATE || heard[me] == UNREACHED || heard[me] == LOST)
#endif

/* service/client: posts, and posts again under the same key. With IMPATIENT it also does so while an
 * answer is on its way, or was lost.
 */
proctype Buyer(byte me) {
  do
  :: atomic { heard[me] == SOLD || heard[me] == SOLD_OUT -> break }
  :: atomic { heard[me] != SOLD && heard[me] != SOLD_OUT && posted[me] == ATTEMPTS &&
              heard[me] != NOTHING ->
#ifdef EVERYBODY_IS_ANSWERED
     assert(false); /* had attempts enough for all faults */
#endif
     break }
  :: atomic { posted[me] < ATTEMPTS && (posted[me] == 0 || ASKS_AGAIN(me)) ->
     if
     :: nfull(queue[me % WEBS]) -> at[me] = me % WEBS
#if WEBS > 1
     :: posted[me] > 0 && nfull(queue[(me + 1) % WEBS]) -> at[me] = (me + 1) % WEBS
#endif
     fi;
     heard[me] = NOTHING;
     queue[at[me]] ! me, posted[me];
     posted[me]++ }
  od
}
