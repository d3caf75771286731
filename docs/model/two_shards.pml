/* One key, used for two events of two shards at the same time: claims (`claim.lua`) see to it that at
 * most one of them sells (workers/ledgers/redis.py, decision 26). Each shard has two workers and a stock
 * that lasts; a turn is as in `many_hosts.pml`, cut down to what concerns the key.
 */
#ifndef FAULTS
#define FAULTS 2
#endif
#define SHARDS 2
#define NOTHING 0
#define SOLD 1
#define KEY_REUSED 2

byte faults = FAULTS;

bool order[SHARDS]; /* the key's order in this shard */
byte claim;         /* at the key's home: 0, or the shard that may sell it, from 1 */

byte fence[SHARDS], lock[SHARDS];
bool waits[SHARDS];  /* the purchase's frame is on the stream */
byte heard[SHARDS];  /* the answer to it */
byte asked[SHARDS];  /* how often the buyer asked */
bool in_turn[SHARDS * 2];
bool killed[SHARDS * 2];

#define ELSEWHERE(shard) (claim != 0 && claim != (shard) + 1)

inline leave() { in_turn[me] = false; token = 0; sees_order = false; sees_claim = false }

proctype Worker(byte me; byte shard) {
  byte token;
  bool sees_order, sees_claim;

  goto work;
boot:
  atomic { killed[me] = false; if :: lock[shard] == me + 1 -> lock[shard] = 0 :: else fi }

work: {
    goto idle;
idle:
end_idle: /* take.lua */
    atomic { waits[shard] && (lock[shard] == 0 || lock[shard] == me + 1) ->
      lock[shard] = me + 1; fence[shard]++; token = fence[shard]; in_turn[me] = true }

    sees_order = order[shard]; /* RedisLedger._read, in this shard */
    /* RedisLedger._read_claims, at the key's home */
    if
    :: sees_claim = !sees_order && ELSEWHERE(shard)
    :: atomic { faults > 0 -> faults--; leave(); goto idle }
    fi;

    /* RedisLedger._claim: for what is sold, and for what was sold before, again */
    if
    :: sees_claim -> goto commit
    :: else
    fi;
#ifndef BUG_NO_CLAIMS
#ifdef BUG_CLAIM_IN_TWO_STEPS
    if
    :: atomic { ELSEWHERE(shard) -> leave(); goto idle }
    :: !ELSEWHERE(shard)
    fi;
    claim = shard + 1;
#else
    if
    :: atomic { ELSEWHERE(shard) ->
         assert(!sees_order); /* what was sold has its claim */
         leave(); goto idle } /* LedgerFault: begin anew */
    :: atomic { !ELSEWHERE(shard) -> claim = shard + 1 }
    :: atomic { faults > 0 && !ELSEWHERE(shard) -> faults--; claim = shard + 1; leave(); goto idle }
    fi;
#endif
#endif

commit: /* commit.lua */
    atomic {
      if
      :: fence[shard] > token -> /* fenced */
#ifdef BUG_CLAIMS_ARE_GIVEN_UP
         if :: !sees_claim && !sees_order && claim == shard + 1 -> claim = 0 :: else fi;
#endif
         leave(); goto idle
      :: else
      fi;
      if
      :: sees_claim ->
         assert(!order[shard]);
         heard[shard] = KEY_REUSED
      :: else ->
         order[shard] = true;
         heard[shard] = SOLD;
         assert(!(order[0] && order[1])) /* one order a key, wherever */
      fi;
      waits[shard] = false;
      if :: lock[shard] == me + 1 -> lock[shard] = 0 :: else fi;
      leave();
      goto idle
    }
  } unless { atomic { killed[me] -> leave(); goto boot } }
}

/* Asks until it has an answer, and once more: a refusal may have been a fault's, and a sale is told again. */
proctype Buyer(byte shard) {
  do
  :: atomic { asked[shard] < 2 && !waits[shard] ->
       assert(heard[shard] != SOLD || order[shard]);
       asked[shard]++; waits[shard] = true }
  :: atomic { asked[shard] == 2 && !waits[shard] -> break }
  od;
  assert(heard[shard] != NOTHING);
  assert(heard[shard] != SOLD || order[shard])  /* a confirmed sale is in the ledger */
}

proctype Nature() {
end:
  do
  :: atomic { faults > 0 && in_turn[0] && !killed[0] -> faults--; killed[0] = true }
  :: atomic { faults > 0 && in_turn[2] && !killed[2] -> faults--; killed[2] = true }
  :: atomic { faults > 0 && lock[0] != 0 -> faults--; lock[0] = 0 }
  :: atomic { faults > 0 && lock[1] != 0 -> faults--; lock[1] = 0 }
  od
}

proctype Judge() { /* when all is over */
  atomic { timeout ->
    assert(heard[0] != NOTHING && heard[1] != NOTHING);
    /* Without a fault one of the two is sold. With one, the claim of a sale that never came is left, and
     * the other event is refused: the exception that docs/many-hosts.md names. Its own event then sells.
     */
    assert(order[0] || order[1]) }
}

init {
  atomic {
    run Buyer(0); run Buyer(1);
    run Worker(0, 0); run Worker(1, 0); run Worker(2, 1); run Worker(3, 1);
    run Nature(); run Judge()
  }
}
