/* soldout on one host: a socket for each worker, one multiprocessing.Lock, a SQLite transaction a batch,
 * and a pool that starts a new generation when a dead worker took the lock along.
 */
#include "sale.pml"

#define LANES (WEBS * WORKERS)
#define LANE(web, worker) ((web) * WORKERS + (worker))
#define NOBODY 0
#define OWNED(worker) ((worker) + 1)

byte semaphore; /* the lock; it does not know that its holder died */
byte given;     /* ProcessLock: the newest token of this generation */
byte committed; /* the ledger's fence */
byte writer;    /* who has SQLite's write lock: BEGIN IMMEDIATE */

bool old;       /* … has, since before a deadline that passed: within 3 s it commits or is killed */

/* hearts.Phase: what the supervisor knows of a worker */
#define IDLE 0 /* or booting */
#define TAKING 1
#define HOLDING 2
#define RELEASING 3
byte phase[WORKERS];

bool killed[WORKERS]; /* dead, and not started again */
bool buried[WORKERS]; /* … and its process here has noticed */

/* One frame at most is under way on a lane: sent, in a worker's hands, or answered. */
byte sent[LANES], taken[LANES], reply[LANES];
bool broken[LANES]; /* its worker died */
bool cut[LANES];    /* its web process died: nobody reads the reply */
#define FRAME(who, attempt) (8 | (who) | (attempt) << 1)
#define BUYER(frame) ((frame) & 1)
#define ATTEMPT(frame) (((frame) >> 1) & 3)

#if WEBS > 1
#define EACH_WEB(what) what(0); what(1)
#define SENT_TO(me) (sent[LANE(0, me)] || sent[LANE(1, me)])
#define HAS_FRAMES(me) (SENT_TO(me) || taken[LANE(0, me)] || taken[LANE(1, me)])
#else
#define EACH_WEB(what) what(0)
#define SENT_TO(me) (sent[LANE(0, me)] != 0)
#define HAS_FRAMES(me) (SENT_TO(me) || taken[LANE(0, me)])
#endif

/* UnixInbox.take and take_waiting: whole frames, whatever is there */
inline take_from(web) {
  if
  :: sent[LANE(web, me)] ->
     taken[LANE(web, me)] = sent[LANE(web, me)]; sent[LANE(web, me)] = 0
  :: else
  fi
}

inline settle_from(web) {
  f = taken[LANE(web, me)];
  if
  :: f ->
     known = HAS_ORDER(BUYER(f), ATTEMPT(f)) || ((j >> BUYER(f)) & 1);
     outcome = DECIDE(BUYER(f), ATTEMPT(f), known, stock);
     if
     :: outcome == FRESH -> stock++; j = j | (1 << BUYER(f)); fresh = true
     :: else
     fi;
     outcomes[web] = outcome
  :: else
  fi
}

inline write_from(web) {
  f = taken[LANE(web, me)];
  if
  :: f && outcomes[web] == FRESH -> write_order(BUYER(f), ATTEMPT(f))
  :: else
  fi
}

/* UnixInbox.answer: a lane that is gone gets nothing */
inline send_to(web) {
  if
  :: taken[LANE(web, me)] && !cut[LANE(web, me)] ->
     reply[LANE(web, me)] = (outcomes[web] == FRESH -> SOLD : outcomes[web])
  :: else
  fi
}

inline answer_to(web) {
#ifndef BUG_ANSWER_BEFORE_COMMIT
  send_to(web);
#endif
  taken[LANE(web, me)] = 0; outcomes[web] = 0
}

inline give_up(web) {
  if :: taken[LANE(web, me)] -> outcomes[web] = UNREACHED :: else fi
}

#ifdef BUG_LOCK_IS_IGNORED
#define LOCK_IS_FREE true
#else
#define LOCK_IS_FREE (semaphore == NOBODY)
#endif
#ifdef BUG_NO_TRANSACTION
#define BEGIN_IMMEDIATE true
#else
#define BEGIN_IMMEDIATE (writer == NOBODY)
#endif

proctype Worker(byte me) {
  byte token, stock;
  byte outcomes[WEBS];
  bool fresh;

boot:
  if
  :: atomic { !killed[me] -> phase[me] = TAKING }
  :: atomic { killed[me] && !buried[me] -> buried[me] = true; goto boot }
  fi;

  { /* one_host._open_ledger, under the lock: tokens go on above the ledger's */
    atomic { LOCK_IS_FREE -> semaphore = OWNED(me); phase[me] = HOLDING }
    atomic {
#ifndef BUG_TOKENS_BEGIN_ANEW
      if :: given < committed -> given = committed :: else fi;
#endif
      phase[me] = RELEASING }
    atomic { semaphore = NOBODY; phase[me] = IDLE }

idle: /* UnixInbox.take; HeldProcessLock.__enter__ */
end_idle:
    atomic { SENT_TO(me) -> EACH_WEB(take_from); phase[me] = TAKING }
    atomic { LOCK_IS_FREE -> semaphore = OWNED(me) }
    d_step { phase[me] = HOLDING; given++; token = given; EACH_WEB(take_from) }

    /* SqliteLedger.load, rules.settle */
    atomic {
      BEGIN_IMMEDIATE -> writer = OWNED(me);
      d_step { stock = sold; fresh = false; EACH_WEB(settle_from); clean() }
    }

#ifdef BUG_ANSWER_BEFORE_COMMIT
    d_step { EACH_WEB(send_to) }
#endif
    /* SqliteLedger.commit: the fence, the rows, COMMIT with its fsync; or a rollback */
    atomic {
      if
      :: committed >= token ->
         assert(false); /* who has the lock commits */
         EACH_WEB(give_up)
      :: else ->
         d_step {
           EACH_WEB(write_from);
           if
           :: fresh -> sold = stock; committed = token
           :: else
           fi;
           assert(sold == STANDING); /* conservation */
           clean()
         }
      fi;
      if :: writer == OWNED(me) -> writer = NOBODY; old = false :: else fi
    }

    phase[me] = RELEASING;
    semaphore = NOBODY;
    d_step { phase[me] = IDLE; token = 0; stock = 0; fresh = false }
    d_step { answer_to(0) }
#if WEBS > 1
    d_step { answer_to(1) }
#endif
    goto idle
  } unless {
    d_step {
      killed[me] && !buried[me] ->
      buried[me] = true; token = 0; stock = 0; fresh = false; outcomes[0] = 0;
#if WEBS > 1
      outcomes[1] = 0
#endif
    }
    goto boot
  }
}

/* A lane with its sender: courier._send_on, UnixLane.exchange. */
proctype Lane(byte web; byte worker) {
  byte who, attempt;

#define THIS LANE(web, worker)
idle:
end_idle:
  atomic {
    !killed[worker] && nempty(queue[web]) && !sent[THIS] && !taken[THIS] ->
    queue[web] ? who, attempt;
    broken[THIS] = false; cut[THIS] = false; reply[THIS] = 0;
    if
    :: attempt < late[who] -> tell(who, attempt, UNREACHED); who = 0; attempt = 0; goto idle
    :: else -> sent[THIS] = FRAME(who, attempt)
    fi
  }

wait:
  if
  :: d_step { reply[THIS] && !cut[THIS] ->
       tell(who, attempt, reply[THIS]);
       reply[THIS] = 0; who = 0; attempt = 0 }
     goto idle
  :: atomic { broken[THIS] && !reply[THIS] && !cut[THIS] -> /* back to the head of the queue */
       broken[THIS] = false;
#ifndef BUG_FRAME_IS_NOT_SENT_AGAIN
       queue[web] ! who, attempt;
#endif
       who = 0; attempt = 0; goto idle }
  :: d_step { attempt < gone[who] && attempt + 1 == posted[who] && heard[who] == NOTHING ->
       tell(who, attempt, UNREACHED) } /* courier._sweep_once, LAST_COMMIT_MS after the deadline */
     goto wait
  :: d_step { cut[THIS] -> reply[THIS] = 0; who = 0; attempt = 0 }
     goto idle
  :: d_step { faults > 0 && !cut[THIS] -> /* the web process is killed, and all its requests with it */
       faults--;
       do
       :: i < CLIENTS ->
          if :: at[i] == web && posted[i] > 0 && heard[i] == NOTHING -> heard[i] = LOST :: else fi;
          i++
       :: else -> break
       od;
       i = 0;
       do
       :: i < WORKERS ->
          cut[LANE(web, i)] = true; sent[LANE(web, i)] = 0; i++ /* an unread frame: settled or not, the same */
       :: else -> break
       od;
       do
       :: queue[web] ? n, outcome
       :: empty(queue[web]) -> break
       od;
       clean() }
     goto wait
  fi
}

inline break_lane(lane) {
  if
  :: sent[lane] || taken[lane] -> broken[lane] = true
  :: else
  fi;
  sent[lane] = 0; taken[lane] = 0
}

inline die(worker) {
  killed[worker] = true;
  if :: writer == OWNED(worker) -> writer = NOBODY; old = false :: else fi; /* SQLite rolls back */
  break_lane(LANE(0, worker));
#if WEBS > 1
  break_lane(LANE(1, worker))
#endif
}

inline spawn(worker) {
  killed[worker] = false; buried[worker] = false; phase[worker] = IDLE
}

#define NEEDS_A_NEW_LOCK(worker) \
  (phase[worker] == HOLDING || (phase[worker] != IDLE && semaphore != NOBODY))

inline reap(worker) {
  if
#ifdef BUG_THE_DEAD_KEEP_THE_LOCK
  :: true -> spawn(worker)
#else
  :: !NEEDS_A_NEW_LOCK(worker) -> spawn(worker)
  :: else -> anew = true; /* kill: whoever is left */
     if :: !killed[0] -> die(0) :: else fi;
#if WORKERS > 1
     if :: !killed[1] -> die(1) :: else fi
#endif
#endif
  fi
}

/* pool.Pool, one_host.free_lock_of */
proctype Pool() {
  bool anew;
end:
  do
  :: d_step { !anew && killed[0] && buried[0] -> reap(0) }
#if WORKERS > 1
  :: d_step { !anew && killed[1] && buried[1] -> reap(1) }
  :: d_step { anew && buried[0] && buried[1] ->
       anew = false; semaphore = NOBODY; given = 0; spawn(0); spawn(1) }
#else
  :: d_step { anew && buried[0] -> anew = false; semaphore = NOBODY; given = 0; spawn(0) }
#endif
  od
}

proctype Nature() {
end:
  do
  :: d_step { faults > 0 && !killed[0] && (phase[0] != IDLE || HAS_FRAMES(0)) -> faults--; die(0) }
#if WORKERS > 1
  :: d_step { faults > 0 && !killed[1] && (phase[1] != IDLE || HAS_FRAMES(1)) -> faults--; die(1) }
#endif
#ifdef DEADLINES
  :: d_step { late[0] < posted[0] -> late[0]++; old = writer != NOBODY }
  :: d_step { gone[0] < late[0] && !old -> gone[0]++ }
#if CLIENTS > 1
  :: d_step { late[1] < posted[1] -> late[1]++; old = writer != NOBODY }
  :: d_step { gone[1] < late[1] && !old -> gone[1]++ }
#endif
#endif
  od
}

init {
  atomic {
    do :: i < CLIENTS -> run Buyer(i); i++ :: else -> break od;
    i = 0;
    do
    :: i < WEBS ->
       j = 0;
       do :: j < WORKERS -> run Lane(i, j); j++ :: else -> break od;
       i++
    :: else -> break
    od;
    i = 0;
    do :: i < WORKERS -> run Worker(i); i++ :: else -> break od;
    clean();
    run Pool();
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
