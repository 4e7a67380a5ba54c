-- The rules of the account: how many polls are allowed.

local function poll_rate(set, cap)
  return math.max(set or math.max(math.floor(cap / K.CAP_PER_POLL), K.POLLS_AT_LEAST), 1)
end

local function poll_bucket(used, rate, now)
  return {
    used = math.min(math.max(used, now - SECOND_US), now),
    gap = math.max(math.floor(SECOND_US / math.max(rate, 1)), 1),
  }
end

local function poll_room(bucket, max, now) return math.min(max, math.floor((now - bucket.used) / bucket.gap)) end

local function take_polls(bucket, count)
  bucket.used = bucket.used + count * bucket.gap
  return math.floor((bucket.used + math.max(bucket.gap, K.POLLS_WORTH_WHILE * 1000) + 999) / 1000)
end
