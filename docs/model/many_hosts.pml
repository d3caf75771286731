/* soldout on Redis: the lock with its lease, fencing tokens, frames on the stream, a worker's turn,
 * the answers, and all that may break. `README.md` holds it against the code, step by step.
 *
 * Each Lua script is one atomic step here, as it is in Redis.
 */
#include "sale.pml"

#define FRAMES_MAX (CLIENTS * ATTEMPTS + 2 * FAULTS) /* 2: with a bug; else 1 is enough */

/* --- what is in Redis (workers/shards/keys.py) --- */

byte fence;     /* meta: the newest token given out */
byte committed; /* meta: the newest that committed */
byte lock;      /* NOBODY, OWNED(worker), or ABANDONED(worker): its process died */
byte frames[FRAMES_MAX], head, tail; /* the stream: all that was ever put there; head … tail wait */
chan answers[WEBS] = [3] of { byte, byte }; /* a lane's stream: frame number, outcome */

#define NOBODY 0
#define OWNED(worker) ((worker) + 1)
#define ABANDONED(worker) ((worker) + 1 + WORKERS)
#define IS_OWNED (lock != NOBODY && lock <= WORKERS)

/* A frame: one purchase, its lane and its number there. A number of `closed` or less is of an old
 * name of the lane: nobody reads the stream that it is answered on. `newest`: the lane's newest that was
 * appended (`lane:…`).
 */
byte number[WEBS], closed[WEBS], newest[WEBS];
#define FRAME(who, attempt, lane, nr) ((who) | (attempt) << 1 | (lane) << 3 | (nr) << 4)
#define BUYER(frame) ((frame) & 1)
#define ATTEMPT(frame) (((frame) >> 1) & 3)
#define LANE(frame) (((frame) >> 3) & 1)
#define NUMBER(frame) ((frame) >> 4)

byte stray; /* a frame whose append is under way though its lane has broken */

/* --- turns --- */

bool busy[WORKERS];   /* has a turn, by its own belief */
bool killed[WORKERS]; /* its process is dead */
bool leased[WORKERS]; /* its lease has not run out: then nobody may fence it */
bool old[WORKERS];    /* began before the newest deadline that passed */
bool over[WORKERS];   /* … and that was TURN_MAX_MS ago */
byte token[WORKERS];
byte from[WORKERS], upto[WORKERS]; /* the frames that were read */

inline empty_answers(me) {
  do
  :: answers[me] ? n, outcome
  :: empty(answers[me]) -> break
  od
}

#ifdef BUG_OLD_LANES_MAY_APPEND
#define IS_OLDER(frame) false
#else
#define IS_OLDER(frame) (NUMBER(frame) < newest[LANE(frame)])
#endif

#ifdef BUG_AGAIN_DOES_NOT_LOOK
#define WAS_APPENDED(frame) false
#else
#define WAS_APPENDED(frame) (NUMBER(frame) == newest[LANE(frame)])
#endif

/* append.lua */
inline append(frame) {
  if
  :: !IS_OLDER(frame) && !WAS_APPENDED(frame) ->
     assert(tail < FRAMES_MAX);
     frames[tail] = frame;
     tail++;
     newest[LANE(frame)] = NUMBER(frame)
  :: else
  fi
}

/* prelude.lua `hold` and `read`; Turn._begin */
inline begin(me) {
  lock = OWNED(me);
  fence++;
  token[me] = fence;
  busy[me] = true; leased[me] = true; old[me] = false; over[me] = false;
  from[me] = head;
  upto[me] = tail;
#ifdef BUG_FRAMES_TAKEN_OFF_WHEN_READ
  head = tail
#endif
}

/* prelude.lua `part`, for one frame; an answer to an old name goes nowhere */
inline answer(frame, word) {
  if
  :: NUMBER(frame) > closed[LANE(frame)] ->
     answers[LANE(frame)] ! NUMBER(frame), (word == FRESH -> SOLD : word)
  :: else
  fi
}

/* Turn._over, Turn.give_up */
inline leave(me) {
  busy[me] = false; old[me] = false; over[me] = false; leased[me] = false;
  token[me] = 0; from[me] = 0; upto[me] = 0;
  outcomes = 0; stock = 0; entries = 0
}

#ifdef BUG_LOCK_IS_IGNORED
#define MAY_TAKE(me) (fence < 8) /* or they fence each other for ever */
#else
#define MAY_TAKE(me) (lock == NOBODY || lock == OWNED(me))
#endif

#if defined(BUG_NO_FENCE)
#define FENCED(me) false
#elif defined(BUG_FENCE_ONLY_OF_COMMITTED)
#define FENCED(me) (committed >= token[me])
#else
#define FENCED(me) (fence > token[me] || committed >= token[me])
#endif

#ifdef BUG_TURNS_LAST_FOR_EVER
#define OVER(me) false
#else
#define OVER(me) over[me]
#endif

/* The last walls of commit.lua: what the batch was decided on is no longer there. */
#ifdef WITHOUT_WALLS
#define WALL(me) false
#else
#define WALL(me) (fresh && journal != entries)
#endif

#define OUTCOME_OF(place) ((outcomes >> (3 * ((place) - from[me]))) & 7)

proctype Worker(byte me) {
  int outcomes;  /* of the batch, three bits each */
  byte stock;    /* tickets sold, as the batch sees it */
  byte entries;  /* of the journal, as they were loaded */
  bool fresh;

  goto work;

boot: /* many_hosts.Site._boot: release_for, for the process before this one */
  atomic { killed[me] = false;
#ifdef BUG_ANYBODY_GIVES_THE_LOCK_BACK
    lock = NOBODY;
#elif !defined(BUG_DEAD_LOCK_IS_LEFT)
    if :: lock == ABANDONED(me) -> lock = NOBODY :: else fi;
#endif
  }

work: {
    goto idle;
idle: /* RedisInbox.take, Turn.take, take.lua */
end_idle:
    atomic {
      MAY_TAKE(me) && head < tail -> begin(me);
      if
      :: true
      :: faults > 0 -> faults--; leave(me); goto idle /* the reply is lost; the lock is ours */
      fi
    }

turn: /* RedisLedger.load, rules.settle */
    atomic {
      if
      :: true
      :: faults > 0 -> faults--; leave(me); goto idle
      fi;
      d_step {
        stock = sold; entries = journal; fresh = false; outcomes = 0;
        i = from[me];
        do
        :: i < upto[me] ->
           f = frames[i];
           known = HAS_ORDER(BUYER(f), ATTEMPT(f)) || ((j >> BUYER(f)) & 1);
           outcome = DECIDE(BUYER(f), ATTEMPT(f), known, stock);
           if
           :: outcome == FRESH -> stock++; j = j | (1 << BUYER(f)); fresh = true
           :: else
           fi;
           outcomes = outcomes | (outcome << (3 * (i - from[me])));
#ifdef BUG_ANSWER_BEFORE_COMMIT
           answer(f, outcome);
#endif
           i++
        :: else -> break
        od;
        clean()
      }
    }

    /* commit.lua: compares, writes, answers, takes the frames off, and begins the next turn or gives
     * the lock back. Whoever sleeps does so before this step: the lease runs out, others go on.
     */
    atomic {
      if
      :: FENCED(me) ->
#ifndef LEASES_PROMISE_NOTHING
         assert(!leased[me]); /* who has the lease commits */
#endif
         fresh = false; leave(me); goto idle
      :: !FENCED(me) && OVER(me) -> fresh = false; leave(me); goto idle
      :: !FENCED(me) && !OVER(me)
      fi;
#ifndef STALE_COMMITS_ARE_SEEN_BY_BUYERS
      assert(token[me] == fence); /* no stale commit takes effect */
#endif
#ifdef WALLS_REFUSE
      if :: WALL(me) -> fresh = false; leave(me); goto idle :: else fi;
#endif
      assert(!WALL(me)); /* the last walls are never needed */
      d_step {
        i = from[me];
        do
        :: i < upto[me] ->
           f = frames[i]; outcome = OUTCOME_OF(i);
           if
           :: outcome == FRESH -> write_order(BUYER(f), ATTEMPT(f))
           :: else
           fi;
#ifndef BUG_ANSWER_BEFORE_COMMIT
           answer(f, outcome);
#endif
           i++
        :: else -> break
        od;
        if :: fresh -> sold = stock :: else fi;
        assert(sold == STANDING); /* conservation: the counter agrees with the orders */
        committed = token[me]; /* it sets `fence` too, which is the token already */
        if :: upto[me] > head -> head = upto[me] :: else fi;
        clean()
      }
      fresh = false; leave(me);
      if
      :: lock == OWNED(me) && head < tail -> begin(me);
         if
         :: goto turn
         :: faults > 0 -> faults--; leave(me); goto idle /* the reply is lost */
         fi
      :: lock == OWNED(me) && head == tail -> lock = NOBODY
      :: lock != OWNED(me)
      fi;
      goto idle
    }
  } unless { atomic { killed[me] -> fresh = false; leave(me); goto boot } }
}

#ifdef BUG_ANY_ANSWER_IS_TAKEN
#define IS_OURS(nr) true
#else
#define IS_OURS(nr) ((nr) == number[me])
#endif

/* One lane of a web process, with its courier: courier._send_on, RedisLane.exchange. */
proctype Web(byte me) {
  byte who, attempt;
  bool unheard; /* the append was refused, and nobody heard that */
  bool sure;    /* it was repeated, and heard */

idle:
end_idle:
  atomic {
    queue[me] ? who, attempt ->
    if
    :: attempt < late[who] -> /* courier._expire: waited here past its deadline, and was never sent */
#ifdef BUG_NEVER_SENT_IS_TOLD_TOO_LATE
       tell(who, attempt, TOO_LATE);
#else
       tell(who, attempt, UNREACHED);
#endif
       who = 0; attempt = 0; goto idle
    :: else
    fi
  }

send: /* append.lua, whose reply nobody waits for */
  atomic {
    number[me]++;
    if
    :: append(FRAME(who, attempt, me, number[me]))
    :: faults > 0 -> faults--; unheard = true /* refused: the stream is full, or the memory */
    :: faults > 0 && stray == 0 -> faults--; stray = FRAME(who, attempt, me, number[me]); goto broken
#ifdef KILLED_WHILE_IT_SENDS
    :: faults > 0 && stray == 0 -> faults--; stray = FRAME(who, attempt, me, number[me]); goto died
#endif
    fi;
    goto wait
  }

wait: /* XREAD on the stream of answers */
  if
  :: atomic { answers[me] ? n, outcome ->
       if
       :: IS_OURS(n) ->
          tell(who, attempt, outcome);
          who = 0; attempt = 0; sure = false; unheard = false; clean(); goto idle
       :: else -> clean(); goto wait
       fi }
#ifndef BUG_APPEND_IS_NEVER_REPEATED
  :: atomic { unheard -> /* nothing came in time: append it again, and hear the reply */
       append(FRAME(who, attempt, me, number[me])); unheard = false; sure = true; goto wait }
  :: atomic { !sure && faults > 0 && answers[me]??[eval(number[me]), outcome] ->
       /* the same in the moment in which it was answered and taken off */
       faults--; append(FRAME(who, attempt, me, number[me])); sure = true; goto wait }
  :: atomic { !sure && faults > 0 && stray == 0 -> /* the same, and it comes after the lane broke */
       faults--; stray = FRAME(who, attempt, me, number[me]); goto broken }
#endif
  :: atomic { faults > 0 -> faults--; goto broken }
  :: atomic { attempt < late[who] -> goto broken } /* no worker answered in time */
  :: atomic { faults > 0 -> faults--; goto died }
  fi;

died: /* the web process is killed, and all its requests with it; the next one is another lane */
  atomic {
    d_step {
      closed[me] = number[me];
      do
      :: i < CLIENTS ->
         if :: at[i] == me && posted[i] > 0 && heard[i] == NOTHING -> heard[i] = LOST :: else fi;
         i++
      :: else -> break
      od;
      do
      :: queue[me] ? n, outcome
      :: empty(queue[me]) -> break
      od;
      empty_answers(me);
      who = 0; attempt = 0; sure = false; unheard = false; clean()
    }
    goto idle
  }

broken: /* courier._send_frame: back to the head of the queue; RedisLane.connect takes a new name */
  atomic {
    closed[me] = number[me]; sure = false; unheard = false;
    empty_answers(me);
    clean();
    if
    :: attempt < late[who] -> tell(who, attempt, UNREACHED); who = 0; attempt = 0; goto idle
    :: else -> goto send
    fi
  }
}

inline kill(worker) {
  faults--;
  killed[worker] = true;
  if :: lock == OWNED(worker) -> lock = ABANDONED(worker) :: else fi
}

/* A deadline passes: whoever is at work began before it. */
inline pass(who) {
  late[who]++;
  do :: i < WORKERS -> old[i] = old[i] || busy[i]; i++ :: else -> break od;
  clean()
}

/* … and so much time more that no turn from before it may commit (`valid_until_ms`). */
inline pass_for_good(who) {
  gone[who]++;
  do :: i < WORKERS -> over[i] = over[i] || old[i]; i++ :: else -> break od;
  clean()
}

/* What happens by itself: deaths, leases that run out, deadlines that pass, an append that comes late. */
proctype Nature() {
end:
  do
  :: atomic { faults > 0 && busy[0] && !killed[0] -> kill(0) }
#if WORKERS > 1
  :: atomic { faults > 0 && busy[1] && !killed[1] -> kill(1) }
#endif
  :: atomic { IS_OWNED && faults > 0 -> faults--; leased[lock - 1] = false; lock = NOBODY }
#ifndef BUG_LOCK_WITHOUT_LEASE
  :: atomic { lock > WORKERS -> lock = NOBODY }
#endif
  :: atomic { stray != 0 -> append(stray); stray = 0 }
#ifdef STOCK_COMES_BACK
  :: d_step { lock == NOBODY && sold > 0 && !cancelled -> /* in a turn of its own */
       sold--; journal++; cancelled++; fence++; committed = fence }
#endif
#ifdef DEADLINES
  :: d_step { late[0] < posted[0] -> pass(0) }
  :: d_step { gone[0] < late[0] -> pass_for_good(0) }
#if CLIENTS > 1
  :: d_step { late[1] < posted[1] -> pass(1) }
  :: d_step { gone[1] < late[1] -> pass_for_good(1) }
#endif
#endif
  od
}

init {
  atomic {
    do :: i < CLIENTS -> run Buyer(i); i++ :: else -> break od;
    i = 0;
    do :: i < WEBS -> run Web(i); i++ :: else -> break od;
    i = 0;
    do :: i < WORKERS -> run Worker(i); i++ :: else -> break od;
    clean();
    run Nature()
  }
}

#ifdef EVERYBODY_IS_ANSWERED
#define ANSWERED(who) (heard[who] == SOLD || heard[who] == SOLD_OUT)
#if CLIENTS > 1
ltl everybody { <>(ANSWERED(0) && ANSWERED(1)) }
#else
ltl everybody { <>ANSWERED(0) }
#endif
#endif
